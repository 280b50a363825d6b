import assert from "node:assert/strict";
import test from "node:test";
import type { Job } from "../api/contract";
import { withJob } from "./live";
import { mayDo } from "./session";

const job = (id: string, started: string, done = 0): Job => ({
  id,
  kind: "model.verify",
  subject: "a",
  state: "running",
  progress: { done, total: 10, unit: "bytes" },
  result: null,
  problem: null,
  started,
  ended: null,
});

test("a job takes its own place, and the newest is first", () => {
  const known = [job("b", "2026-11-22T12:00:00Z"), job("a", "2026-11-22T11:00:00Z")];
  const next = withJob(known, job("a", "2026-11-22T11:00:00Z", 5));
  assert.deepEqual(
    next.map(({ id, progress }) => [id, progress?.done]),
    [
      ["b", 0],
      ["a", 5],
    ],
  );
  assert.equal(withJob(next, job("c", "2026-11-22T13:00:00Z"))[0]?.id, "c");
});

test("an answer that comes late does not begin a job again that has ended", () => {
  const begun = job("a", "2026-11-22T11:00:00Z");
  const ended: Job = { ...begun, state: "done", ended: "2026-11-22T11:00:01Z" };
  assert.deepEqual(withJob(withJob([], ended), begun), [ended]);
  assert.deepEqual(withJob([begun], ended), [ended]);
});

test("each role may do what those before it may", () => {
  assert.ok(mayDo("admin", "read") && mayDo("chat", "read") && mayDo("chat", "chat"));
  assert.ok(!mayDo("read", "chat") && !mayDo("chat", "admin"));
});
