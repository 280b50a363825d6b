// Tells whether the built page is that of these sources, by their contents: dates are those of a checkout or a copy. With
// --note it notes what the page was built from.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";

const home = new URL("..", import.meta.url).pathname;
const note = join(home, "dist/.sources");

/** All files of a folder. @param {string} folder @returns {string[]} */
function below(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

/** What the page is built from: its own files, and what says how and with what. */
function sources() {
  const beside = readdirSync(home, { withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.startsWith("."))
    .map((entry) => join(home, entry.name));
  return [...beside, ...below(join(home, "src")), ...below(join(home, "public"))].sort();
}

function digest() {
  const hash = createHash("sha256");
  for (const path of sources()) {
    const contents = readFileSync(path);
    hash.update(`${relative(home, path)} ${contents.length}\n`).update(contents);
  }
  return hash.digest("hex");
}

function noted() {
  try {
    return readFileSync(note, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return null;
    throw error;
  }
}

if (process.argv.includes("--note")) writeFileSync(note, digest());
else process.exitCode = noted() === digest() ? 0 : 1;
