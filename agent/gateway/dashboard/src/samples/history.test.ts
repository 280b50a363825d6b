import assert from "node:assert/strict";
import test from "node:test";
import type { SampleEvent } from "../api/contract";
import { axisRange, extremes, historyOf, lonely, withSample } from "./history";

const COLUMNS = ["time", "temperature", "clock", "power", "memory_used", "tokens_per_second"];

const told = (...rows: (number | string | null)[][]) =>
  historyOf({ step_seconds: 1, columns: COLUMNS, rows }, 10);

const sample = (time: number, temperature: number | null = 50): SampleEvent => ({
  time,
  temperature,
  clock: null,
  power: 0,
  memory_used: 1,
  tokens_per_second: null,
});

test("a row without neighbours is found", () => {
  assert.deepEqual(lonely([1, null, 2, 3, null, 4]), [0, 5]);
  assert.deepEqual(lonely([null, 0, null]), [1]);
  assert.deepEqual(lonely([1, 2]), []);
  assert.deepEqual(lonely([]), []);
});

test("columns are found by their names, whatever their order", () => {
  const history = historyOf(
    { step_seconds: 1, columns: ["phase", "power", "time", "new"], rows: [["decode", 6.5, 100, 1]] },
    10,
  );
  assert.deepEqual(history.time, [100]);
  assert.deepEqual(history.series.power, [6.5]);
  assert.deepEqual(history.series.temperature, [null]);
  assert.deepEqual(history.phase, ["decode"]);
});

test("what was not measured stays null and nought stays nought", () => {
  const history = told([1, null, 0, 0, 0, null]);
  assert.deepEqual(history.series.temperature, [null]);
  assert.deepEqual(history.series.power, [0]);
});

test("a time without measurements is a gap and not a line", () => {
  const history = told([1, 50, 1, 1, 1, 1], [2, 51, 1, 1, 1, 1], [9, 60, 1, 1, 1, 1]);
  assert.deepEqual(history.time, [1, 2, 3, 9]);
  assert.deepEqual(history.series.temperature, [50, 51, null, 60]);
});

test("a new row comes last and what is too old goes", () => {
  let history = told([1, 50, 1, 1, 1, 1]);
  for (let time = 2; time <= 20; time += 1) history = withSample(history, sample(time, time), "decode");
  assert.deepEqual(history.time, [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]);
  assert.equal(history.series.temperature.at(-1), 20);
  assert.equal(history.phase.at(-1), "decode");
});

test("a clock that is set back leaves the course alive", () => {
  const ahead = told([11, 50, 1, 1, 1, 1], [12, 50, 1, 1, 1, 1], [86_412, 51, 1, 1, 1, 1]);
  const history = withSample(withSample(ahead, sample(13, 52), null), sample(14, 53), null);
  assert.deepEqual(history.time, [11, 12, 13, 14]);
  assert.equal(history.series.temperature.at(-1), 53);
});

test("a row that is not newer changes nothing", () => {
  const history = told([5, 50, 1, 1, 1, 1]);
  assert.equal(withSample(history, sample(5), null), history);
  assert.equal(withSample(history, sample(4), null), history);
});

test("after a long absence only the new row is left, with its gap before it", () => {
  const history = withSample(told([1, 50, 1, 1, 1, 1]), sample(1000), null);
  assert.deepEqual(history.time, [1000]);
});

test("extremes pass over what is not known", () => {
  assert.equal(extremes([null, null]), null);
  assert.deepEqual(extremes([3, null, 1, 2]), { least: 1, greatest: 3, newest: 2 });
  assert.deepEqual(extremes([3, null]), { least: 3, greatest: 3, newest: null });
});

test("an axis has room, is not too narrow, and does not go below nothing", () => {
  const [low, high] = axisRange(50, 50.1, 10);
  assert.ok(low < 50 && high > 50.1 && high - low >= 10);
  assert.equal(axisRange(0, 0, 5)[0], 0);
  assert.equal(axisRange(1, 40, 5)[0], 0);
  assert.ok(axisRange(-10, 5, 5)[0] < -10);
});
