import assert from "node:assert/strict";
import test from "node:test";
import { heatWarning } from "./heat";

test("a clock that is capped below the target is no warning, and all beyond it is", () => {
  const target = 80_000;
  assert.equal(heatWarning({ rung: "free", assumed: 90_000, target }), null);
  assert.equal(heatWarning({ rung: "clock_cap", assumed: 46_000, target }), null);
  assert.match(heatWarning({ rung: "clock_cap", assumed: 80_000, target }) ?? "", /clock is held down/);
  assert.match(heatWarning({ rung: "clock_cap", assumed: null, target }) ?? "", /clock is held down/);
  assert.match(heatWarning({ rung: "cpu_quota", assumed: 46_000, target }) ?? "", /rationed/);
});
