import assert from "node:assert/strict";
import test from "node:test";
import { hereAt } from "./trial";

const now = Date.parse("2026-11-22T12:00:00Z");

test("two minutes are two minutes, whatever the appliance's clock shows", () => {
  const end = "1970-01-01T00:02:07Z";
  assert.equal(hereAt(end, "Thu, 01 Jan 1970 00:00:07 GMT", now), now + 120_000);
  assert.equal(hereAt("2026-11-22T12:02:00Z", null, now), now + 120_000);
  assert.equal(hereAt("2026-11-22T12:02:00Z", "nonsense", now), now + 120_000);
});
