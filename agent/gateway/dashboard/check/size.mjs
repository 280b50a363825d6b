// Fails when the page, as the gateway sends it, outgrows its limit.
import { readdirSync, statSync } from "node:fs";
import { join, relative } from "node:path";

/** Most bytes of all files together, compressed. */
const LIMIT = 120_000;

const dist = new URL("../dist", import.meta.url).pathname;
const files = readdirSync(dist, { withFileTypes: true, recursive: true })
  .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
  .filter((path) => path.endsWith(".gz"));
if (files.length === 0) throw new Error(`${dist} holds no compressed file: run "npm run build" first`);

let total = 0;
for (const path of files) {
  const { size } = statSync(path);
  total += size;
  console.log(`${String(size).padStart(8)}  ${relative(dist, path).slice(0, -".gz".length)}`);
}
console.log(`${String(total).padStart(8)}  of ${LIMIT} bytes, compressed`);
if (total > LIMIT) {
  console.error(`the page is ${total - LIMIT} bytes over its limit`);
  process.exit(1);
}
