import assert from "node:assert/strict";
import test from "node:test";
import { readKeepAlive, readTokens } from "./setting-values";

test("a stay is seconds, a duration, or nothing", () => {
  for (const [text, value] of [
    ["", null],
    [" 300 ", 300],
    ["-1", -1],
    ["−1", -1],
    ["0", 0],
    ["1h30m", "1h30m"],
    ["1.5h", "1.5h"],
  ] as const) {
    assert.deepEqual(readKeepAlive(text), { value, error: null });
  }
  for (const text of ["5 minutes", "m5", "5d", "--1", "1e9"]) assert.ok(readKeepAlive(text).error, text);
});

test("a context is at least a token and at most what the model was trained with", () => {
  assert.deepEqual(readTokens("4,096", 8192), { value: 4096, error: null });
  assert.deepEqual(readTokens("", 8192), { value: null, error: null });
  assert.deepEqual(readTokens("100000", null), { value: 100_000, error: null });
  for (const text of ["0", "-5", "many", "1.5", "8193"]) assert.ok(readTokens(text, 8192).error, text);
});
