// Starts GraphiQL on the address this page came from. A token goes into the headers editor.

// Under this name the library that puts a style element in looks for the nonce which the page's policy allows.
window.__webpack_nonce__ = document.currentScript.nonce;

// GraphiQL's history keeps the headers of every query, whatever `shouldPersistHeaders` says. What is written to the
// browser's storage therefore passes here, and loses all headers: a token lives no longer than the page.
function withoutHeaders(value) {
  try {
    return JSON.stringify(JSON.parse(value), (name, inner) => (name === "headers" ? undefined : inner));
  } catch {
    return value; // not JSON: a query, variables, or a setting
  }
}

const storage = {
  getItem: (name) => localStorage.getItem(name),
  setItem: (name, value) => localStorage.setItem(name, withoutHeaders(value)),
  removeItem: (name) => localStorage.removeItem(name),
  clear: () => localStorage.clear(),
  get length() {
    return localStorage.length;
  },
};

// One result of a query or mutation; those of a subscription come as server-sent events: graphql-sse PROTOCOL.md,
// "Distinct connections mode".
async function* results(request, headers, signal) {
  const answer = await fetch(window.location.pathname, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json", accept: "application/json, text/event-stream" },
    body: JSON.stringify(request),
    signal,
  });
  if (!answer.headers.get("content-type").startsWith("text/event-stream")) {
    yield await answer.json();
    return;
  }
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
    const events = (text + piece.value).split("\n\n");
    text = events.pop();
    for (const event of events) {
      const [name, data] = event.split("\n");
      if (name === "event: next") yield JSON.parse(data.slice("data: ".length));
    }
  }
}

// Whoever stops listening closes the connection; a generator alone would first wait for the next event.
function fetcher(request, options) {
  const connection = new AbortController();
  const found = results(request, options?.headers, connection.signal);
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next: () => found.next().catch((fault) => (connection.signal.aborted ? { done: true } : Promise.reject(fault))),
    return() {
      connection.abort();
      return Promise.resolve({ done: true });
    },
  };
}

ReactDOM.createRoot(document.getElementById("console")).render(
  React.createElement(GraphiQL, {
    fetcher,
    storage,
    isHeadersEditorEnabled: true,
    shouldPersistHeaders: false,
    defaultEditorToolsVisibility: "headers",
  }),
);
