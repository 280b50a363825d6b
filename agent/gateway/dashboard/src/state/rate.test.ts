import assert from "node:assert/strict";
import test from "node:test";
import { RateMeter } from "./rate";

test("a rate is told from the second mark on, over the last while", () => {
  const meter = new RateMeter(10_000);
  assert.equal(meter.at(0, 0), null);
  assert.equal(meter.at(1_000, 500), 500);
  assert.equal(meter.at(2_000, 3_000), 1_500);
  for (let second = 3; second <= 20; second += 1) meter.at(second * 1_000, 3_000 + (second - 2) * 100);
  assert.equal(meter.at(21_000, 4_900), 100);
});

test("a pause is no slowness", () => {
  const meter = new RateMeter();
  meter.at(0, 0);
  meter.at(1_000, 1_000);
  assert.equal(meter.restart(), null);
  assert.equal(meter.at(60_000, 1_000), null);
  assert.equal(meter.at(61_000, 3_000), 2_000);
});
