import { createCRC64, createSHA256 } from "hash-wasm";

const NVME = "9a6c9329ac4bc9b5"; // the polynomial of CRC-64/NVME, as hash-wasm writes it
const UPLOAD = "id method partSize";
const TARGET = `target {
  ... on PutUploadTarget { url headers { name value } }
  ... on PostUploadTarget { url fields { name value } }
  ... on MultipartUploadTarget { uploadId }
}`;

/** A list of names and values, such as headers, as an object. */
export const pairs = (list) => Object.fromEntries(list.map(({ name, value }) => [name, value]));

/** What both versions of Uppy share: promises each file before it is sent, and completes or aborts it in the end. */
export class Uploads {
  constructor(uppy, { ask, folderId, method }) {
    Object.assign(this, { uppy, ask, folderId, method });
    uppy.addPreProcessor((ids) => this.each(ids, (file) => this.promise(file)));
    uppy.addPostProcessor((ids) => this.each(ids, (file) => this.complete(file)));
    uppy.on("file-removed", (file) => this.abort(file));
  }

  async each(ids, act) {
    for (const id of ids) {
      if (!this.uppy.getFile(id)) continue; // it was removed meanwhile
      try {
        await act(this.uppy.getFile(id));
      } catch (error) {
        const file = this.uppy.getFile(id);
        if (file) this.uppy.emit("upload-error", file, error); // the other files go on
      }
    }
  }

  async change(mutation, selection, input) {
    const type = mutation[0].toUpperCase() + mutation.slice(1) + "Input!";
    const query = `mutation ($input: ${type}) {
      ${mutation}(input: $input) { ${selection} userErrors { message } }
    }`;
    const payload = (await this.ask(query, { input }))[mutation];
    if (payload.userErrors.length) throw new Error(payload.userErrors[0].message);
    return payload;
  }

  async promise(file) {
    const { size, data, meta: { name: filename } } = file;
    const fingerprint = { filename, size, crc64nvme: await digest(createCRC64(NVME), data) };
    let upload = await this.unfinished(fingerprint);
    if (!upload) {
      const input = { ...fingerprint, contentType: file.type || "application/octet-stream" };
      Object.assign(input, { folderId: this.folderId, method: this.method });
      if (this.method === "POST") input.sha256 = await digest(createSHA256(), data);
      ({ upload } = await this.change("createUpload", `upload { ${UPLOAD} }`, input));
    }
    if (!this.uppy.getFile(file.id)) return this.abort({ meta: { upload } });
    this.uppy.setFileMeta(file.id, { upload });
    const uploadId = upload.target?.uploadId; // the store's: Uppy then asks which parts are there
    if (uploadId) this.uppy.setFileState(file.id, { s3Multipart: { uploadId, key: upload.id } });
  }

  /** An upload of this very content that was begun before, perhaps on another page. */
  async unfinished(fingerprint) {
    const query = `query ($fingerprint: UploadFingerprint!) {
      uploads(status: [PENDING], fingerprint: $fingerprint) { nodes { ${UPLOAD} folder { id } ${TARGET} } }
    }`;
    const { nodes } = (await this.ask(query, { fingerprint })).uploads;
    return nodes.find(({ folder, target }) => target && folder?.id === this.folderId);
  }

  /** Whatever Uppy saw: an answer of the store may get lost after the bytes have arrived. */
  async complete(file) {
    const { upload } = file.meta;
    if (!upload) return;
    let done;
    try {
      done = await this.change("completeUpload", "upload { status } file { id name path }", { uploadId: upload.id });
    } catch (error) {
      if (file.error) return; // Uppy has told of it
      throw error;
    }
    this.uppy.setFileMeta(file.id, { completed: done });
    if (!file.error) return;
    this.uppy.setFileState(file.id, { error: null });
    this.uppy.emit("upload-success", this.uppy.getFile(file.id), { status: 200, body: {} });
    if (!this.uppy.getFiles().some(({ error }) => error)) this.uppy.setState({ error: null });
  }

  async abort({ meta: { upload, completed } }) {
    if (!upload || completed) return;
    try {
      await this.change("abortUpload", "upload { status }", { uploadId: upload.id });
    } catch (error) {
      this.uppy.log(error, "warning"); // it expires by itself
    }
  }

  async target({ meta: { upload } }) {
    const query = `query ($id: ID!) { node(id: $id) { ... on Upload { ${TARGET} } } }`;
    const { target } = (await this.ask(query, { id: upload.id })).node;
    if (!target) throw new Error("the upload is over");
    const { url, headers, fields } = target;
    return fields ? { method: "POST", url, fields: pairs(fields) } : { method: "PUT", url, headers: pairs(headers) };
  }

  isMultipart = ({ meta: { upload } }) => upload.method === "MULTIPART";

  /** Parts are cut as they were promised; files of one size have parts of one size. */
  partSize = ({ size }) =>
    this.uppy.getFiles().find((file) => file.size === size && file.meta.upload?.partSize).meta.upload.partSize;
}

async function digest(hasher, blob) {
  const hash = (await hasher).init(), reader = blob.stream().getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) hash.update(read.value);
  return hash.digest("hex");
}
