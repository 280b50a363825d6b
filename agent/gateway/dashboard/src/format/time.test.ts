import assert from "node:assert/strict";
import test from "node:test";
import { dateTime, dateTimeIn, secondsUntil, span } from "./time";

test("spans are told in their two greatest units", () => {
  for (const [seconds, text] of [
    [-5, "0 s"],
    [0.2, "0 s"],
    [59.6, "1 min"],
    [61, "1 min 1 s"],
    [3600, "1 h"],
    [3 * 86_400 + 4 * 3600 + 59, "3 d 4 h"],
    [86_400 + 59, "1 d"],
  ] as const) {
    assert.equal(span(seconds), text);
  }
  assert.equal(span(Number.POSITIVE_INFINITY), "–");
});

test("an instant that is missing or cannot be read is a dash", () => {
  assert.equal(dateTime(null), "–");
  assert.equal(dateTime("yesterday"), "–");
  assert.match(dateTime("2026-11-22T15:04:00Z"), /2026/);
});

test("an instant can be told in the machine's own zone", () => {
  assert.equal(dateTimeIn("2026-11-22T15:04:00Z", "Asia/Tokyo"), "23 Nov 2026, 00:04");
  assert.equal(dateTimeIn("2026-11-22T15:04:00Z", "Middle/Earth"), dateTime("2026-11-22T15:04:00Z"));
});

test("a hold's end is told by the machine's own clock", () => {
  assert.equal(secondsUntil(90_000_000, 60), 30);
});
