// Apollo Client 4: persisted queries by GET, a cache that is keyed on `cacheKey`, a subscription over a WebSocket.
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { createClient } from 'graphql-ws';
import { createHash } from 'node:crypto';
import WebSocket from 'ws';

const [url, token, uploadId] = process.argv.slice(2);
const requests = [];
const http = new HttpLink({
  uri: url,
  headers: { authorization: `Bearer ${token}` },
  fetch: async (address, init) => {
    const answer = await fetch(address, init);
    requests.push([init.method, answer.status, answer.headers.get('content-type')]);
    return answer;
  },
});
const persisted = new PersistedQueryLink({
  sha256: (text) => createHash('sha256').update(text).digest('hex'),
  useGETForHashedQueries: true,
});
const socket = createClient({
  url: url.replace('http', 'ws'),
  webSocketImpl: WebSocket,
  connectionParams: { authorization: `Bearer ${token}` },
});
const client = new ApolloClient({
  cache: new InMemoryCache({ typePolicies: { SignedUrl: { keyFields: ['cacheKey'] } } }),
  link: ApolloLink.split(
    ({ operationType }) => operationType === 'subscription',
    new GraphQLWsLink(socket),
    ApolloLink.from([persisted, http]),
  ),
});
const FILES = gql`query Files { files(first: 5) { nodes { id name signedUrl { url cacheKey } } } }`;
const ask = () => client.query({ query: FILES, fetchPolicy: 'network-only' });

const first = await ask();
const again = await ask();
const cached = client.readQuery({ query: FILES });
const refused = await client.mutate({
  mutation: gql`mutation { abortUpload(input: { uploadId: "none" }) { userErrors { __typename code } } }`,
});
const event = await new Promise((resolve, reject) => {
  client
    .subscribe({
      query: gql`subscription ($id: ID!) { uploadStatusChanged(uploadId: $id) { upload { id status } } }`,
      variables: { id: uploadId },
    })
    .subscribe({ next: resolve, error: reject });
});
console.log(JSON.stringify({
  requests,
  names: first.data.files.nodes.map(({ name }) => name),
  isEqual: JSON.stringify(first.data) === JSON.stringify(again.data),
  cached: cached.files.nodes.length,
  keys: Object.keys(client.cache.extract()).filter((key) => key.startsWith('SignedUrl:')).length,
  refused: refused.data.abortUpload.userErrors,
  event: event.data.uploadStatusChanged.upload.status,
}));
process.exit(0);
