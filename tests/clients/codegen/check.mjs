// Sends a file twice, with the compiled types and documents that only have ids.
import { send } from "./built/app.js";

const [url, token, filename] = process.argv.slice(2);
const first = await send({ url, token }, filename, "generated");
const second = await send({ url, token }, filename, "generated");
console.log(JSON.stringify({ first, second }));
