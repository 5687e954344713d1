// Relay's runtime: pages of a connection, a node again, edges that mutations add and take away, a subscription.
import relay from "relay-runtime";
import WebSocket from "ws";
import AllowMutation from "./__generated__/appAllowMutation.graphql.js";
import FileQuery from "./__generated__/appFileQuery.graphql.js";
import FilesQuery from "./__generated__/appFilesQuery.graphql.js";
import ForgetMutation from "./__generated__/appForgetMutation.graphql.js";
import MoreFilesQuery from "./__generated__/appMoreFilesQuery.graphql.js";
import RulesQuery from "./__generated__/appRulesQuery.graphql.js";
import UploadSubscription from "./__generated__/appUploadSubscription.graphql.js";
import fileFragment from "./__generated__/app_file.graphql.js";
import filesFragment from "./__generated__/app_files.graphql.js";
import { environment } from "./environment.js";

globalThis.WebSocket ??= WebSocket; // which browsers have
const { ConnectionHandler, ROOT_ID, commitMutation, createOperationDescriptor, fetchQuery, getRequest } = relay;
const { getSelector, requestSubscription } = relay;

const [url, token, uploadId] = process.argv.slice(2);
const store = environment(url, () => token);
const ask = (query, variables) => fetchQuery(store, query, variables).toPromise();
const seen = (query, variables) => store.lookup(createOperationDescriptor(getRequest(query), variables).fragment).data;
const commit = (mutation, variables) =>
  new Promise((onCompleted, onError) => commitMutation(store, { mutation, variables, onCompleted, onError }));

await ask(FilesQuery, { first: 2 });
const files = () => store.lookup(getSelector(filesFragment, seen(FilesQuery, { first: 2 }))).data.files;
const firstPage = files();
await ask(MoreFilesQuery, { first: 2, after: firstPage.pageInfo.endCursor });
const bothPages = files();

const { id } = firstPage.edges[0].node;
const again = await ask(FileQuery, { id });
const file = store.lookup(getSelector(fileFragment, again.node)).data;

const resource = { fileId: id };
await ask(RulesQuery, { resource });
const rules = () => seen(RulesQuery, { resource }).accessRules.edges.map(({ node }) => node.permissions.join());
const connections = [ConnectionHandler.getConnectionID(ROOT_ID, "app_accessRules", { resource })];
const before = rules();
const subject = { tokenSubject: "bob" };
const allowed = await commit(AllowMutation, {
  input: { effect: "ALLOW", permissions: ["READ"], subject, resource },
  connections,
});
const between = rules();
const { id: ruleId, version } = allowed.createAccessRule.accessRule;
await commit(ForgetMutation, { input: { ruleId, version }, connections });

const event = await new Promise((onNext, onError) =>
  requestSubscription(store, { subscription: UploadSubscription, variables: { id: uploadId }, onNext, onError }),
);
console.log(JSON.stringify({
  pages: [firstPage, bothPages].map(({ edges }) => edges.map(({ node }) => node.name)),
  size: file.size,
  hasLink: file.signedUrl.url.startsWith("http"),
  rules: [before, between, rules()],
  event: event.uploadStatusChanged.upload.status,
}));
process.exit(0);
