// Clicks through the page: `npm run browser`, against the mock; against an appliance with
// `HEARTH_URL=https://… HEARTH_TOKEN=hearth_… npm run browser`. Names of files choose some: `npm run browser chat`.
// `--test-only` chooses what only the mock can be made to do.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";

const folder = new URL(".", import.meta.url).pathname;
const given = process.argv.slice(2);
const flags = given.filter((argument) => argument.startsWith("--"));
const wanted = given.filter((argument) => !argument.startsWith("--"));
const files = readdirSync(folder)
  .filter((name) => name.endsWith(".test.mjs"))
  .filter((name) => wanted.length === 0 || wanted.includes(name.replace(".test.mjs", "")))
  .map((name) => `${folder}${name}`);
if (files.length === 0) throw new Error(`there is no such test: ${wanted.join(", ")}`);

/** Each file has a mock of its own; an appliance is one for all, so they take turns. */
const concurrency = process.env.HEARTH_URL === undefined ? [] : ["--test-concurrency=1"];
process.exitCode =
  spawnSync(process.execPath, ["--test", ...flags, ...concurrency, ...files], { stdio: "inherit" }).status ??
  1;
