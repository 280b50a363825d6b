import assert from "node:assert/strict";
import test from "node:test";
import { eventsOf, linesOf, textOf } from "./stream";

async function* pieces(...texts: string[]): AsyncGenerator<string> {
  yield* texts;
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

test("lines are the same however the text is cut", async () => {
  const text = "one\r\ntwo\n\nfour\r\nfive";
  for (let cut = 0; cut <= text.length; cut += 1) {
    const lines = await all(linesOf(pieces(text.slice(0, cut), text.slice(cut))));
    assert.deepEqual(lines, ["one", "two", "", "four", "five"], `cut at ${cut}`);
  }
});

test("events have a name, data of several lines, and comments are passed over", async () => {
  const stream = pieces(
    ": keep-alive\n\n",
    "event: sample\nda",
    "ta: {\ndata: }\n\ndata:plain\n\n",
    "data: cut off",
  );
  assert.deepEqual(await all(eventsOf(stream)), [
    { event: "sample", data: "{\n}" },
    { event: "message", data: "plain" },
  ]);
});

test("a character whose bytes arrive apart is whole", async () => {
  const bytes = new TextEncoder().encode("6 °C");
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
      controller.close();
    },
  });
  let arrivals = 0;
  const text = await all(textOf(new Response(body), () => (arrivals += 1)));
  assert.equal(text.join(""), "6 °C");
  assert.equal(arrivals, bytes.length);
});
