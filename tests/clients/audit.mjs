// All audits of graphql-http against the server at the address given, as whoever has the token; a line of JSON.
import { auditServer } from 'graphql-http';

const [url, token] = process.argv.slice(2);
const results = await auditServer({
  url,
  fetchFn: (address, { headers, ...init } = {}) =>
    fetch(address, { ...init, headers: { ...headers, authorization: `Bearer ${token}` } }),
});
const told = await Promise.all(
  results.map(async ({ id, name, status, reason, response }) => ({
    id, name, status, reason, answer: response && `${response.status} ${response.headers.get('content-type')}`,
  })),
);
console.log(JSON.stringify(told));
