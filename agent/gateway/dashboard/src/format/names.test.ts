import assert from "node:assert/strict";
import test from "node:test";
import { isPart, MODEL_NAME, nameFromFile } from "./names";

test("a file lends its name", () => {
  for (const [file, name] of [
    ["/m/SmolLM2-135M.Q4_1.gguf", "smollm2-135m.q4_1"],
    ["qwen-00001-of-00003.gguf", "qwen"],
    ["the-best-of-3.gguf", "the-best-of-3"],
    ["", ""],
  ] as const) {
    assert.equal(nameFromFile(file), name);
  }
});

test("parts of a model are known by their numbers", () => {
  assert.ok(isPart("qwen-00001-of-00003.gguf"));
  assert.ok(!isPart("the-best-of-3.gguf"));
});

test("a name begins with a letter or a digit and has no spaces", () => {
  for (const name of ["a", "1.5b_x-y"]) assert.match(name, MODEL_NAME);
  for (const name of ["", ".a", "a b", "größe", "a/b"]) assert.doesNotMatch(name, MODEL_NAME);
});
