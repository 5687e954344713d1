import AwsS3 from "@uppy/aws-s3";
import Uppy from "@uppy/core";
import { pairs, Uploads } from "../uploads.js";

export function uploader(options) {
  const uppy = new Uppy(), uploads = new Uploads(uppy, options);
  return uppy.use(AwsS3, {
    shouldUseMultipart: uploads.isMultipart,
    getChunkSize: uploads.partSize,
    getUploadParameters: (file) => uploads.target(file),
    createMultipartUpload: ({ meta: { upload } }) => ({ uploadId: upload.id, key: upload.id }),
    async signPart({ meta: { upload } }, { partNumber }) {
      const input = { uploadId: upload.id, parts: [{ partNumber }] };
      const { parts } = await uploads.change("signUploadParts", "parts { url headers { name value } }", input);
      return { method: "PUT", url: parts[0].url, headers: pairs(parts[0].headers) };
    },
    async listParts({ meta: { upload } }) {
      const query = "query ($id: ID!) { node(id: $id) { ... on Upload { parts { partNumber size etag } } } }";
      const { parts } = (await options.ask(query, { id: upload.id })).node;
      return parts.map(({ partNumber, size, etag }) => ({ PartNumber: partNumber, Size: size, ETag: etag }));
    },
    completeMultipartUpload: () => ({}), // Uploads does it, for all methods
    abortMultipartUpload: () => {}, // and aborts when the file is removed; a failure can be retried
  });
}
