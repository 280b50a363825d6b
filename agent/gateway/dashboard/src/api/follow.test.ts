import assert from "node:assert/strict";
import test, { afterEach } from "node:test";
import { type Connection, follow, waitBefore } from "./follow";

const realFetch = globalThis.fetch;
afterEach(() => {
  globalThis.fetch = realFetch;
});

/** Answers one request after the other; what comes after the last ends the test. */
function answering(...answers: (() => Response)[]): { signal: AbortSignal; asked: () => number } {
  const controller = new AbortController();
  let asked = 0;
  globalThis.fetch = async () => {
    const answer = answers[asked];
    asked += 1;
    if (answer !== undefined) return answer();
    controller.abort();
    throw new TypeError("nobody answers");
  };
  return { signal: controller.signal, asked: () => asked };
}

const stream = (text: string) => () => new Response(text);
const refused = (status: number) => () => new Response("{}", { status });
const away = () => {
  throw new TypeError("connection refused");
};

/** Follows to the end; returns what was told, and how long it would have waited. */
async function followed(signal: AbortSignal) {
  const told: string[] = [];
  const waits: number[] = [];
  const follower = {
    onEvent: ({ data }: { data: string }) => told.push(data),
    onConnection: ({ state }: Connection) => told.push(state),
  };
  await follow("/events", follower, signal, async (milliseconds) => {
    waits.push(milliseconds);
  });
  return { told, waits };
}

test("a stream that breaks off is connected again, and a good connection makes waits short again", async () => {
  const { signal } = answering(stream("data: a\n\n"), away, away, stream("data: b\n\n"), away);
  const { told, waits } = await followed(signal);
  assert.deepEqual(told, ["connecting", "live", "a", "lost", "lost", "lost", "live", "b", "lost", "lost"]);
  assert.deepEqual(waits, [1_000, 1_000, 2_000, 1_000, 1_000]);
});

test("who is signed out, or may not, is not told again and again", async () => {
  for (const status of [401, 403]) {
    const { signal, asked } = answering(refused(status), stream("data: a\n\n"));
    const { told } = await followed(signal);
    assert.deepEqual(told, ["connecting", "lost"]);
    assert.equal(asked(), 1);
  }
});

test("waits double, and have an end", () => {
  assert.deepEqual([1, 2, 3, 4, 5, 60].map(waitBefore), [1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
});
