// All rules of @graphql-eslint (schema and Relay) and of graphql-schema-linter over the schema at the path given; what
// they find as one JSON list. What is off or eased has its reason here.
import { readFileSync } from 'node:fs';
import eslintPlugin from '@graphql-eslint/eslint-plugin';
import { ESLint } from 'eslint';
import schemaLinter from 'graphql-schema-linter';

const [path] = process.argv.slice(2);

const eased = {
  // Fields and values stand in the order in which people need them, and the exporter sorts the types.
  '@graphql-eslint/alphabetize': 'off',
  // It says of mutations and subscriptions that there are none.
  '@graphql-eslint/no-root-type': 'off',
  // A payload has what was changed. Whoever wants more of the world asks for it.
  '@graphql-eslint/require-field-of-type-query-in-mutation-result': 'off',
  // `deletionDate` is no argument of `@deprecated`. The reason says the date.
  '@graphql-eslint/require-deprecation-date': 'off',
  // What is a part of something else has no identity: a checksum, a target, a page. Instead of this test_sdl.py has
  // each type with an id be a Node.
  '@graphql-eslint/strict-id-in-types': 'off',
  // `@oneOf` is GraphQL's own; it is defined for tools that do not know it yet.
  '@graphql-eslint/require-description': [
    'error',
    {
      types: true,
      rootField: true,
      FieldDefinition: true,
      InputValueDefinition: true,
      EnumValueDefinition: true,
    },
  ],
  // Short lists need no pages, and a connection has `nodes` beside `edges`. Entries of a bundle are no Nodes: they have
  // a path in it.
  '@graphql-eslint/relay-edge-types': [
    'error',
    { withEdgeSuffix: true, listTypeCanWrapOnlyEdgeType: false, shouldImplementNode: false },
  ],
};
const sorted = /SortedAlphabetically$/; // rules of the other linter, off as `alphabetize` is

const eslint = new ESLint({
  overrideConfigFile: true,
  overrideConfig: {
    files: ['**/*.graphql'],
    plugins: { '@graphql-eslint': eslintPlugin },
    languageOptions: { parser: eslintPlugin.parser, parserOptions: { graphQLConfig: { schema: path } } },
    rules: {
      ...eslintPlugin.configs['flat/schema-all'].rules,
      ...eslintPlugin.configs['flat/schema-relay'].rules,
      ...eased,
    },
  },
});
const text = readFileSync(path, 'utf8');
const [{ messages }] = await eslint.lintText(text, { filePath: 'schema.graphql' });
const found = messages.map(({ ruleId, line, message }) => ({ rule: ruleId, line, message }));

const configuration = new schemaLinter.configuration.Configuration({ definition: text });
const rules = configuration.getAllRules().filter(({ name }) => !sorted.test(name));
for (const { ruleName, locations, message } of schemaLinter.validator.validateSchemaDefinition({ definition: text }, rules, configuration))
  found.push({ rule: `graphql-schema-linter/${ruleName}`, line: locations[0].line, message });
console.log(JSON.stringify(found));
