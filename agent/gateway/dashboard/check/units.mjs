// Runs the tests beside the code: bundles each *.test.ts for node, and hands them to node's own test runner.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";

const source = new URL("../src", import.meta.url).pathname;
const tests = readdirSync(source, { withFileTypes: true, recursive: true })
  .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
  .filter((path) => path.endsWith(".test.ts"));

const bundled = mkdtempSync(join(tmpdir(), "hearth-units-"));
try {
  const outcome = await build({
    entryPoints: tests,
    outdir: bundled,
    outbase: source,
    outExtension: { ".js": ".mjs" },
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node18",
    sourcemap: "inline",
    metafile: true,
    logLevel: "warning",
  });
  const files = Object.keys(outcome.metafile.outputs);
  process.exitCode =
    spawnSync(process.execPath, ["--enable-source-maps", "--test", ...files], {
      stdio: "inherit",
    }).status ?? 1;
} finally {
  rmSync(bundled, { recursive: true });
}
