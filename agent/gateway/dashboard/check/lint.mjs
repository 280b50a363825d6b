// Checks formatting and lints; `--write` mends what can be mended. biome comes as a program for each kind of machine:
// only those that Hearth is built on are named in package.json, so that the lock file is the same wherever it is made.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";

const program = createRequire(import.meta.url).resolve(`@biomejs/cli-linux-${process.arch}/biome`);
const { status } = spawnSync(program, ["check", "--error-on-warnings", ...process.argv.slice(2)], {
  stdio: "inherit",
  cwd: new URL("..", import.meta.url).pathname,
});
process.exitCode = status ?? 1;
