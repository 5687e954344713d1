// Runs the function file for each [event, store] of standard input as a module of Node, with a `cloudfront` beside it
// that knows nothing but the guide's three methods, and prints what came of each.
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const { handler } = await import(pathToFileURL(process.argv[2]));
const outcomes = [];
for (const [event, store] of JSON.parse(readFileSync(0))) {
    globalThis.kvs = store;
    try {
        outcomes.push({ value: await handler(event) });
    } catch (error) {
        outcomes.push({ error: String(error) });
    }
}
console.log(JSON.stringify(outcomes));
