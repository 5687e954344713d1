// An OpenID provider for the tests: oauth2-mock-server behind a listener that notes each request.
//
// Prints its address on the first line and ends when standard input closes. Beside the provider's own paths:
//   POST /control/provider {algorithms}        starts afresh: new keys (kid = algorithm + counter), empty request log
//   POST /control/keys     {algorithm}         adds a key, answers {kid}
//   POST /control/token    {kid, header, claims}  answers {token}; a claim or header field that is null is left out
//   POST /control/failing  {failing}           the key set answers 503 while true
//   GET  /control/requests                     paths asked of the provider since it started afresh
import { createServer } from "node:http";
import { OAuth2Issuer, OAuth2Service } from "oauth2-mock-server";

let issuer, service, requests, failing;
let keys = 0;

async function addKey(algorithm) {
  keys += 1;
  return issuer.keys.generate(algorithm, { kid: `${algorithm}-${keys}` });
}

const control = {
  async provider({ algorithms }) {
    issuer = new OAuth2Issuer();
    issuer.url = address;
    service = new OAuth2Service(issuer);
    requests = [];
    failing = false;
    const kids = [];
    for (const algorithm of algorithms) kids.push((await addKey(algorithm)).kid);
    return { kids };
  },
  async keys({ algorithm }) {
    return { kid: (await addKey(algorithm)).kid };
  },
  async token({ kid, header, claims }) {
    const change = (target, changes) => {
      for (const [name, value] of Object.entries(changes ?? {})) {
        if (value === null) delete target[name];
        else target[name] = value;
      }
    };
    const scopesOrTransform = (tokenHeader, payload) => {
      change(tokenHeader, header);
      change(payload, claims);
    };
    return { token: await issuer.buildToken({ kid, scopesOrTransform }) };
  },
  async failing(wish) {
    failing = wish.failing;
    return {};
  },
  async requests() {
    return requests;
  },
};

const server = createServer(async (request, response) => {
  if (!request.url.startsWith("/control/")) {
    requests.push(request.url);
    if (failing) response.writeHead(503).end();
    else service.requestHandler(request, response);
    return;
  }
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const wish = chunks.length ? JSON.parse(Buffer.concat(chunks).toString()) : {};
  const answer = await control[request.url.slice("/control/".length)](wish);
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
});

let address;
server.listen(0, "127.0.0.1", async () => {
  address = `http://127.0.0.1:${server.address().port}`;
  await control.provider({ algorithms: [] });
  console.log(address);
});
process.stdin.resume().on("end", () => process.exit());
