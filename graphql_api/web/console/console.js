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

ReactDOM.createRoot(document.getElementById("console")).render(
  React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({ url: window.location.pathname }),
    storage,
    isHeadersEditorEnabled: true,
    shouldPersistHeaders: false,
    defaultEditorToolsVisibility: "headers",
  }),
);
