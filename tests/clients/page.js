// What the test's page has beside a client: a way to the API, a file to send, and an Uppy to watch.
const FIRST = 0x53454544;

async function ask(query, variables) {
  const answer = await fetch(GRAPHQL_URL, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${TOKEN}` },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await answer.json();
  if (errors) throw new Error(errors[0].message);
  return data;
}

// As many 32-bit numbers, counting up, as fit: bytes that are in the wrong place are seen.
function counting(size) {
  const words = new Uint32Array(size / 4);
  for (let at = 0; at < words.length; at += 1) words[at] = FIRST + at;
  return new Blob([words]);
}

const outcome = ({ successful, failed }) => ({
  files: successful.map(({ meta }) => meta.completed.file),
  failures: failed.map(({ error }) => error),
});

// Begins to upload; `sent` is what comes of it, and `onePart` comes when the store has taken a part.
function begin(name, size, method) {
  window.uppy = client.uploader({ ask, folderId: FOLDER, method });
  uppy.addFile({ name, type: "application/octet-stream", data: counting(size) });
  window.onePart = new Promise((resolve) => uppy.once("s3-multipart:part-uploaded", () => resolve()));
  window.sent = uppy.upload().then(outcome);
}

function retry() {
  window.sent = uppy.retryAll().then(outcome);
}
