import { createClient } from "graphql-ws";
import { Environment, Network, Observable, RecordSource, Store } from "relay-runtime";

export function environment(url, token) {
  async function ask({ id, text }, variables) {
    const headers = { authorization: `Bearer ${token()}`, "content-type": "application/json" };
    const body = JSON.stringify({ documentId: id, query: text, variables });
    return (await fetch(url, { method: "POST", headers, body })).json();
  }
  const connectionParams = () => ({ authorization: `Bearer ${token()}` });
  const socket = createClient({ url: url.replace(/^http/, "ws"), connectionParams });
  const listen = ({ id, text }, variables) =>
    Observable.create((sink) => socket.subscribe({ documentId: id, query: text ?? "", variables }, sink));
  return new Environment({ network: Network.create(ask, listen), store: new Store(new RecordSource()) });
}
