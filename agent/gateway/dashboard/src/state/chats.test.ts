import assert from "node:assert/strict";
import test from "node:test";
import { Meter, messagesOf, type Turn, titleOf } from "./chats";

const turn = (role: Turn["role"], text: string): Turn => ({
  id: 0,
  role,
  text,
  state: "done",
  problem: null,
  speed: null,
});

test("an answer of which nothing came is not sent back to the model", () => {
  const turns = [turn("user", "a"), turn("assistant", ""), turn("user", "b"), turn("assistant", "half")];
  assert.deepEqual(messagesOf(turns), [
    { role: "user", content: "a" },
    { role: "user", content: "b" },
    { role: "assistant", content: "half" },
  ]);
});

test("a title is one short line, and no character is cut in two", () => {
  assert.equal(titleOf("  What is\n a hearth? "), "What is a hearth?");
  assert.equal([...titleOf("🔥".repeat(100))].length, 48);
});

test("speed counts the tokens after the first, over the time after the first", () => {
  const meter = new Meter(1_000);
  assert.equal(meter.speed({ prompt_tokens: 1, completion_tokens: 0 }), null);
  meter.piece(3_000);
  assert.deepEqual(meter.speed({ prompt_tokens: 1, completion_tokens: 1 }), {
    firstMs: 2_000,
    tokens: 1,
    tokensPerSecond: null,
  });
  meter.piece(5_000);
  assert.equal(meter.speed({ prompt_tokens: 1, completion_tokens: 21 })?.tokensPerSecond, 10);
});
