import type { CodegenConfig } from "@graphql-codegen/cli";

const config: CodegenConfig = {
  schema: "schema.graphql",
  documents: "src/*.ts",
  importExtension: ".js",
  generates: {
    "src/gql/": {
      preset: "client",
      presetConfig: { persistedDocuments: { hashAlgorithm: "sha256" } },
      config: {
        documentMode: "string",
        useTypeImports: true,
        strictScalars: true,
        scalars: { ByteSize: "number", Date: "string", DateTime: "string", JSON: "unknown", URL: "string" },
      },
    },
  },
};
export default config;
