import assert from "node:assert/strict";
import test from "node:test";
import * as units from "./units";

test("what is not known is a dash and nothing is a nought", () => {
  for (const format of [units.celsius, units.hertz, units.watts, units.bytes, units.rate, units.count]) {
    for (const unknown of [null, undefined, Number.NaN, Number.POSITIVE_INFINITY]) {
      assert.equal(format(unknown), "–");
    }
    assert.match(format(0), /^0/);
  }
  assert.equal(units.milliCelsius(null), "–");
  assert.equal(units.kiloHertz(null), "–");
});

test("temperatures, clocks and power", () => {
  assert.equal(units.milliCelsius(45_049), "45.0 °C");
  assert.equal(units.celsius(-0.04), "0.0 °C");
  assert.equal(units.celsius(-12.34), "−12.3 °C");
  assert.equal(units.kiloHertz(800_000), "800 MHz");
  assert.equal(units.kiloHertz(3_400_000), "3.40 GHz");
  assert.equal(units.watts(6.149), "6.1 W");
});

test("bytes choose their unit and never show 1000 of one", () => {
  for (const [value, text] of [
    [-312_000, "−312 kB"],
    [999, "999 B"],
    [999_499, "999 kB"],
    [999_600, "1 MB"],
    [116_000_000, "116 MB"],
    [98_362_432, "98.4 MB"],
    [1_117_320_768, "1.12 GB"],
    [Number.MAX_SAFE_INTEGER, "9.01 PB"],
  ] as const) {
    assert.equal(units.bytes(value), text);
  }
});

test("rates and parameters are short", () => {
  assert.equal(units.rate(7.5), "7.5 tok/s");
  assert.equal(units.rate(99.97), "100 tok/s");
  assert.equal(units.rate(0.04), "0.04 tok/s");
  assert.equal(units.parameters(134_515_008), "135 M");
  assert.equal(units.parameters(1_543_714_304), "1.54 B");
  assert.equal(units.parameters(12), "12");
});

test("only the whole is a hundred per cent", () => {
  assert.equal(units.percent(0.9999), "99 %");
  assert.equal(units.percent(1), "100 %");
  assert.equal(units.percent(Number.NaN), "0 %");
  assert.equal(units.percent(7), "100 %");
});

test("one thing is not several", () => {
  assert.equal(units.counted(1, "block"), "1 block");
  assert.equal(units.counted(1024, "block"), "1,024 blocks");
  assert.equal(units.counted(0, "entry", "entries"), "0 entries");
});
