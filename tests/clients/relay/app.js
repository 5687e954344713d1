// What Relay's compiler makes artifacts of; check.mjs runs those.
import { graphql } from "relay-runtime";

graphql`
  query appFilesQuery($first: Int!) {
    ...app_files @arguments(first: $first)
  }
`;

graphql`
  fragment app_files on Query
  @argumentDefinitions(first: { type: "Int!" }, after: { type: "String" })
  @refetchable(queryName: "appMoreFilesQuery") {
    files(first: $first, after: $after, orderBy: { field: NAME, direction: ASC }) @connection(key: "app_files") {
      edges {
        node {
          id
          name
          ...app_file
        }
      }
    }
  }
`;

graphql`
  fragment app_file on File @refetchable(queryName: "appFileQuery") {
    size
    signedUrl {
      url
      refreshAfter
    }
  }
`;

graphql`
  query appRulesQuery($resource: ResourceInput!) {
    accessRules(first: 10, resource: $resource) @connection(key: "app_accessRules") {
      edges {
        node {
          id
          permissions
        }
      }
    }
  }
`;

graphql`
  mutation appAllowMutation($input: CreateAccessRuleInput!, $connections: [ID!]!) {
    createAccessRule(input: $input) {
      accessRule @prependNode(connections: $connections, edgeTypeName: "AccessRuleEdge") {
        id
        version
        permissions
      }
      userErrors {
        code
      }
    }
  }
`;

graphql`
  mutation appForgetMutation($input: DeleteAccessRuleInput!, $connections: [ID!]!) {
    deleteAccessRule(input: $input) {
      deletedRuleId @deleteEdge(connections: $connections)
      userErrors {
        code
      }
    }
  }
`;

graphql`
  subscription appUploadSubscription($id: ID!) {
    uploadStatusChanged(uploadId: $id) {
      upload {
        id
        status
      }
    }
  }
`;
