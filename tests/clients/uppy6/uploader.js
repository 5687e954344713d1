import AwsS3 from "@uppy/aws-s3";
import Uppy from "@uppy/core";
import { pairs, Uploads } from "../uploads.js";

const REQUEST = "request { url headers { name value } }";

export function uploader(options) {
  const uppy = new Uppy(), uploads = new Uploads(uppy, options);
  return uppy.use(AwsS3, {
    shouldUseMultipart: uploads.isMultipart,
    getChunkSize: uploads.partSize,
    generateObjectKey: ({ meta: { upload } }) => upload.id, // so that each request tells which upload it is about
    async signRequest({ method, key: uploadId, uploadId: storeUploadId, partNumber }) {
      if (method === "PUT" && !storeUploadId) return uploads.target({ meta: { upload: { id: uploadId } } });
      if (method === "DELETE") throw new Error("not needed"); // Uploads aborts when the file is removed
      let kind = "LIST_PARTS";
      if (method === "PUT") kind = "UPLOAD_PART";
      if (method === "POST") kind = storeUploadId ? "COMPLETE_MULTIPART" : "CREATE_MULTIPART";
      const input = { uploadId, kind, storeUploadId, partNumber };
      const { request } = await uploads.change("signUploadRequest", REQUEST, input);
      return { url: request.url, headers: pairs(request.headers) };
    },
  });
}
