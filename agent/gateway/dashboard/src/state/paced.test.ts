import assert from "node:assert/strict";
import test from "node:test";
import { Paced } from "./paced";

test("of what comes quickly the newest is passed on, once in a while", async () => {
  const passed: number[] = [];
  const paced = new Paced<number>(0, (value) => passed.push(value));
  // Timers of the same length fire in the order in which they were set.
  const aTurn = () => new Promise((resolve) => setTimeout(resolve, 0));
  for (const value of [1, 2, 3]) paced.put(value);
  assert.deepEqual(passed, []);
  await aTurn();
  assert.deepEqual(passed, [3]);
  await aTurn();
  paced.put(4);
  paced.flush();
  paced.flush();
  await aTurn();
  assert.deepEqual(passed, [3, 4]);
});
