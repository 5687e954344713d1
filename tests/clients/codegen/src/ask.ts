import type { TypedDocumentString } from "./gql/graphql.js";

export type Api = { url: string; token: string };

export async function ask<R, V>(api: Api, document: TypedDocumentString<R, V>, variables: V): Promise<R> {
  const headers = { authorization: `Bearer ${api.token}`, "content-type": "application/json" };
  const body = JSON.stringify({ documentId: document.__meta__?.hash, variables });
  const answer = await fetch(api.url, { method: "POST", headers, body });
  const { data, errors } = await answer.json();
  if (errors) throw new Error(errors[0].message);
  return data;
}
