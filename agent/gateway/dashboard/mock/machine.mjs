// A made-up mini PC: what it is, and how its readings move with what its engine does.

/** @typedef {import("../src/api/contract").Phase} Phase */
/** @typedef {import("../src/api/contract").SampleEvent} Row */

const MEGABYTE = 1e6;
const AMBIENT = 38;

/** Clock in Hz, power in W by phase. @type {Record<Phase, { clock: number, power: number }>} */
const LOADS = {
  idle: { clock: 8e8, power: 3.1 },
  loading: { clock: 2.2e9, power: 8.5 },
  prefill: { clock: 3.4e9, power: 17.5 },
  decode: { clock: 2.1e9, power: 11.5 },
};

/** Numbers from 0 to 1 that are the same in each run. @param {number} seed */
export function randomFrom(seed) {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** The readings and how they go on. */
export class Readings {
  temperature = 46;
  #random = randomFrom(7);

  /**
   * The next second's row.
   * @param {number} time in Unix seconds
   * @param {Phase} phase
   * @param {number} modelBytes memory that a loaded model takes
   * @returns {Row}
   */
  next(time, phase, modelBytes) {
    const { clock, power } = LOADS[phase];
    const noise = () => this.#random() - 0.5;
    const watts = power * (1 + noise() * 0.12);
    this.temperature += (AMBIENT + watts * 2.4 - this.temperature) * 0.06 + noise() * 0.3;
    return {
      time,
      temperature: Math.round(this.temperature * 10) / 10,
      clock: Math.round(clock * (1 + noise() * 0.05)),
      power: Math.round(watts * 100) / 100,
      memory_used: Math.round(118 * MEGABYTE + modelBytes + noise() * 3 * MEGABYTE),
      tokens_per_second: phase === "decode" ? Math.round((14 + noise() * 3) * 10) / 10 : null,
      phase,
    };
  }
}

/** The finest ring that covers a span, as the interface has them. @param {number} seconds */
export function stepFor(seconds) {
  if (seconds <= 600) return 1;
  return seconds <= 3 * 3600 ? 10 : 120;
}

/**
 * A past that might have been: a question every few minutes, quiet nights, and an hour in which it was switched off.
 * @param {number} end in Unix seconds
 * @param {number} seconds
 * @returns {Row[]}
 */
export function pastOf(end, seconds) {
  const step = stepFor(seconds);
  const readings = new Readings();
  const random = randomFrom(11);
  /** @type {Row[]} */
  const rows = [];
  let busy = 0;
  for (let time = end - seconds; time < end; time += step) {
    const isNight = Math.floor(time / 3600) % 24 < 6;
    if (busy <= 0 && random() < (isNight ? 0.0005 : 0.004) * step) busy = 20 + random() * 60;
    /** @type {Phase} */
    const phase = busy > 0 ? (busy % 30 < 4 ? "prefill" : "decode") : "idle";
    busy -= step;
    const row = readings.next(time, phase, busy > -60 ? 105 * MEGABYTE : 0);
    if (!wasOff(time, end)) rows.push(row);
  }
  return rows;
}

/** @param {number} time @param {number} end */
function wasOff(time, end) {
  const age = end - time;
  return (age > 3000 && age < 6600) || (age > 2.4 * 86_400 && age < 2.7 * 86_400);
}

/** @type {import("../src/api/contract").Capabilities} */
export const CAPABILITIES = {
  dmi: { sys_vendor: "GMKtec", product_name: "NucBox G3 Plus" },
  topology: { cores: 4, threads: 4 },
  features: { model_name: "Intel(R) N150" },
  mem_total: 8_123_023_360,
};

/**
 * @param {number} temperature in °C
 * @param {number | null} target in thousandths
 * @returns {import("../src/api/contract").Thermal}
 */
export function thermalOf(temperature, target) {
  return {
    target: target ?? 75_000,
    target_set: target,
    target_default: 75_000,
    assumed: Math.round(temperature * 1000),
    critical: 105_000,
    rung: "free",
    clock_cap: null,
    sensors: [
      { name: "x86_pkg_temp", temp: Math.round(temperature * 1000), distrust: null, counts: true },
      { name: "coretemp Core 0", temp: Math.round(temperature * 1000) - 1500, distrust: null, counts: true },
      { name: "acpitz", temp: 27_800, distrust: "frozen", counts: false },
      {
        name: "nvme Composite of a disk with a rather long name",
        temp: null,
        distrust: "missing",
        counts: false,
      },
    ],
    cooling: [
      { name: "Processor 0", cur_state: 0, max_state: 10, rpm: null },
      { name: "nct6798 fan1", cur_state: null, max_state: null, rpm: 0 },
    ],
    warnings: [
      {
        path: "/sys/class/hwmon/hwmon3/temp1_input",
        problem: "cannot be read: Input/output error (os error 5)",
      },
    ],
  };
}

/** @param {number} used @returns {import("../src/api/contract").MemoryUse} */
export function memoryOf(used) {
  const total = CAPABILITIES.mem_total ?? 0;
  return {
    used,
    parts: {
      anon: Math.round(used * 0.31),
      shmem: 2_400_000,
      slab: 21_300_000,
      threads: 6_900_000,
      tables: 17_200_000,
      zram: 9_800_000,
      reserve: 24_100_000,
      withheld: 0,
      rest: -312_000,
    },
    goal: { aim: 120_000_000, limit: 200_000_000 },
    meminfo: { mem_total: total, mem_available: total - used },
    cgroups: [
      { path: "system.slice/hearthd.service", current: 7_800_000, swap_current: 1_200_000 },
      { path: "system.slice/hearth-gateway.service", current: 9_200_000, swap_current: 0 },
      {
        path: "system.slice/hearth-inferd.service",
        current: Math.max(used - 118 * MEGABYTE, 0),
        swap_current: 0,
      },
      { path: "system.slice/systemd-journald.service", current: 14_600_000, swap_current: 800_000 },
      { path: "system.slice/ssh.service", current: 3_100_000, swap_current: 900_000 },
    ],
    warnings: [],
  };
}
