// Holds a folder until it is ended: for tests that kill it.
import { HeldFolder } from "../../dist/server/held-folder.js";

const [parent, prefix] = process.argv.slice(2);
const { path } = await HeldFolder.make(parent, prefix);
console.log(`${process.pid} ${path}`);
setInterval(() => {}, 1000);
