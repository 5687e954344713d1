// urql 6: persisted queries, and a subscription over server-sent events with the fetch that it has itself.
import { Client, fetchExchange, gql } from '@urql/core';
import { persistedExchange } from '@urql/exchange-persisted';
import { pipe, subscribe } from 'wonka';

const [url, token, uploadId] = process.argv.slice(2);
const requests = [];
const client = new Client({
  url,
  preferGetMethod: false, // but for what is persisted
  exchanges: [persistedExchange({ preferGetForPersistedQueries: true }), fetchExchange],
  fetchSubscriptions: true,
  fetchOptions: { headers: { authorization: `Bearer ${token}` } },
  fetch: async (address, init) => {
    const answer = await fetch(address, init);
    requests.push([init.method, answer.status, answer.headers.get('content-type')]);
    return answer;
  },
});
const FILES = gql`query Files { files(first: 5) { nodes { id name signedUrl { url } } } }`;
const ask = () => client.query(FILES, {}, { requestPolicy: 'network-only' }).toPromise();

const first = await ask();
const again = await ask();
const refused = await client
  .mutation(gql`mutation { abortUpload(input: { uploadId: "none" }) { userErrors { __typename code } } }`, {})
  .toPromise();
const event = await new Promise((resolve) => {
  pipe(
    client.subscription(
      gql`subscription ($id: ID!) { uploadStatusChanged(uploadId: $id) { upload { id status } } }`,
      { id: uploadId },
    ),
    subscribe(resolve),
  );
});
console.log(JSON.stringify({
  requests,
  error: first.error?.message ?? event.error?.message ?? null,
  names: first.data.files.nodes.map(({ name }) => name),
  isEqual: JSON.stringify(first.data) === JSON.stringify(again.data),
  refused: refused.data.abortUpload.userErrors,
  event: event.data.uploadStatusChanged.upload.status,
}));
process.exit(0);
