// Sends a file with types that graphql-codegen made of the schema. What would be a mistake is marked as one: were it
// none, TypeScript would say so.
import { ask, type Api } from "./ask.js";
import { graphql } from "./gql/index.js";

const Create = graphql(`
  mutation Create($input: CreateUploadInput!) {
    createUpload(input: $input) {
      upload {
        id
        target {
          __typename
          expiresAt
          ... on PutUploadTarget {
            url
            headers {
              name
              value
            }
          }
          ... on MultipartUploadTarget {
            partSize
          }
        }
      }
      userErrors {
        __typename
        message
        ... on ConflictError {
          conflictingId
        }
        ... on QuotaExceededError {
          quota {
            used
            limit
          }
        }
      }
    }
  }
`);

const Complete = graphql(`
  mutation Complete($id: ID!) {
    completeUpload(input: { uploadId: $id }) {
      file {
        path
        size
        createdAt
      }
      userErrors {
        message
      }
    }
  }
`);

export async function send(api: Api, filename: string, text: string): Promise<string> {
  const bytes = new Blob([text]);
  const input = { filename, size: bytes.size, contentType: "text/plain" };
  // @ts-expect-error -- a size is a number
  void (() => ask(api, Create, { input: { ...input, size: "12" } }));
  const { createUpload } = await ask(api, Create, { input });
  for (const error of createUpload?.userErrors ?? []) {
    if (error.__typename === "ConflictError") return `taken by ${error.conflictingId ?? "something hidden"}`;
    if (error.__typename === "QuotaExceededError") return `${error.quota?.used} of ${error.quota?.limit} are used`;
    // @ts-expect-error -- the others have no such field
    void error.quota;
    return error.message;
  }
  const upload = createUpload?.upload;
  const target = upload?.target;
  if (!upload || !target) return "no target";
  // @ts-expect-error -- not every target has one
  void target.url;
  if (target.__typename !== "PutUploadTarget") return `a target of another kind, until ${target.expiresAt}`;
  const headers = target.headers.map(({ name, value }): [string, string] => [name, value]);
  const stored = await fetch(target.url, { method: "PUT", headers, body: bytes });
  if (!stored.ok) return `the store answered ${stored.status}`;
  const file = (await ask(api, Complete, { id: upload.id })).completeUpload?.file;
  const size: number | undefined = file?.size;
  return `${file?.path} has ${size} bytes`;
}
