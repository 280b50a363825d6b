import assert from "node:assert/strict";
import test from "node:test";
import type { Job } from "../api/contract";
import { caughtUp, current, type SeenJob, seenJob, withJob } from "./live";
import { mayDo } from "./session";

const job = (id: string, started: string, done = 0): SeenJob => ({
  id,
  kind: "model.verify",
  subject: "a",
  state: "running",
  progress: { done, total: 10, unit: "bytes" },
  result: null,
  problem: null,
  started,
  ended: null,
  endedHere: null,
});

const endedAt = (begun: SeenJob, ended: string): Job => ({ ...begun, state: "failed", ended });

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
  const ended = seenJob(endedAt(begun, "2026-11-22T11:00:01Z"), null, 0);
  assert.deepEqual(withJob(withJob([], ended), begun), [ended]);
  assert.deepEqual(withJob([begun], ended), [ended]);
});

test("an answer is completed by what was told while it was on its way, and tells what is there no more", () => {
  const begun = job("a", "2026-11-22T11:00:00Z");
  const ended = seenJob(endedAt(begun, "2026-11-22T11:00:01Z"), null, 0);
  const later = job("b", "2026-11-22T12:00:00Z");
  assert.deepEqual(caughtUp([begun], [ended, later]), [later, ended]);
  assert.deepEqual(caughtUp([ended], [begun]), [ended]);
  assert.deepEqual(caughtUp([begun], []), [begun]);
});

test("what came of a job is told for ten minutes, whatever the appliance's clock shows", () => {
  const now = Date.parse("2026-11-22T12:00:00Z");
  for (const day of ["2020-01-01", "2026-11-22", "2033-01-01"]) {
    const begun = job("a", `${day}T11:00:00Z`);
    const ended = endedAt(begun, `${day}T11:00:10Z`);
    const isTold = (theirNow: string, later: number) =>
      current([seenJob(ended, theirNow, now)], now + later).length === 1;
    assert.ok(isTold(`${day}T11:00:10Z`, 0), `${day}: it has ended a moment ago`);
    assert.ok(isTold(`${day}T11:05:00Z`, 0), `${day}: it had ended a while before the page was loaded`);
    assert.ok(!isTold(`${day}T11:20:00Z`, 0), `${day}: it had ended long before`);
    assert.ok(!isTold(`${day}T11:00:10Z`, 11 * 60_000), `${day}: it is no news any more`);
  }
  assert.equal(current([job("a", "2020-01-01T00:00:00Z")], now).length, 1);
});

test("each role may do what those before it may", () => {
  assert.ok(mayDo("admin", "read") && mayDo("chat", "read") && mayDo("chat", "chat"));
  assert.ok(!mayDo("read", "chat") && !mayDo("chat", "admin"));
});
