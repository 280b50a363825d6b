import { METRICS, type Metric, type Phase, type SampleEvent, type Samples } from "../api/contract";

/** What was measured over a while: a column for each metric, rows in the order of time. */
export interface History {
  /** Seconds between two rows. */
  step: number;
  /** Seconds that it covers at most. */
  span: number;
  /** Unix seconds. */
  time: number[];
  series: Record<Metric, (number | null)[]>;
  phase: (Phase | null)[];
}

const PHASES: readonly unknown[] = ["idle", "loading", "prefill", "decode"];

/** Rows that lie further apart than so many steps have a gap between them. */
const GAP_STEPS = 2.5;

/** A row that is older than the newest by fewer seconds was told twice, as history and as it happened. */
const STRAY_SECONDS = 5;

/** The history that the appliance has told for a span in seconds. */
export function historyOf(samples: Samples, span: number): History {
  const history = empty(samples.step_seconds, span);
  const timeAt = samples.columns.indexOf("time");
  const phaseAt = samples.columns.indexOf("phase");
  const columns = METRICS.map((metric) => ({ metric, at: samples.columns.indexOf(metric) }));
  for (const row of samples.rows) {
    const time = row[timeAt];
    if (typeof time !== "number") continue;
    const values = {} as Record<Metric, number | null>;
    for (const { metric, at } of columns) values[metric] = numeric(row[at]);
    push(history, time, values, phaseOf(row[phaseAt]));
  }
  return history;
}

/**
 * The history with one more row, and without what has become too old. A row that is a little older changes nothing; before
 * one that is much older the clock was set back, and what lies after it goes.
 */
export function withSample(history: History, sample: SampleEvent, phase: Phase | null): History {
  const { time } = history;
  const newest = time.at(-1);
  if (newest !== undefined && sample.time <= newest && newest - sample.time < STRAY_SECONDS) return history;
  const from = firstFrom(time, sample.time - history.span);
  const to = firstFrom(time, sample.time);
  const next: History = {
    ...history,
    time: time.slice(from, to),
    phase: history.phase.slice(from, to),
    series: mapped((metric) => history.series[metric].slice(from, to)),
  };
  push(next, sample.time, sample, sample.phase ?? phase);
  return next;
}

/** Where the rows begin that are not older. */
function firstFrom(times: number[], oldest: number): number {
  const first = times.findIndex((time) => time >= oldest);
  return first < 0 ? times.length : first;
}

function empty(step: number, span: number): History {
  return { step, span, time: [], series: mapped(() => []), phase: [] };
}

function push(
  history: History,
  time: number,
  values: Record<Metric, number | null>,
  phase: Phase | null,
): void {
  const newest = history.time.at(-1);
  if (newest !== undefined && time - newest > GAP_STEPS * history.step) {
    pushRow(history, newest + history.step, null, null); // So that no line is drawn over what was not measured.
  }
  pushRow(history, time, values, phase);
}

function pushRow(
  history: History,
  time: number,
  values: Record<Metric, number | null> | null,
  phase: Phase | null,
): void {
  history.time.push(time);
  history.phase.push(phase);
  for (const metric of METRICS) history.series[metric].push(values?.[metric] ?? null);
}

function mapped<T>(make: (metric: Metric) => T): Record<Metric, T> {
  return Object.fromEntries(METRICS.map((metric) => [metric, make(metric)])) as Record<Metric, T>;
}

function numeric(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

function phaseOf(value: unknown): Phase | null {
  return PHASES.includes(value) ? (value as Phase) : null;
}

/** The least, the greatest and the newest of what was measured; `null` where nothing was. */
export function extremes(
  values: (number | null)[],
): { least: number; greatest: number; newest: number | null } | null {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return null;
  return { least: Math.min(...known), greatest: Math.max(...known), newest: values.at(-1) ?? null };
}

/** Where something was measured and neither just before nor just after: no line leads there. */
export function lonely(values: readonly (number | null | undefined)[]): number[] {
  const isKnown = (index: number) => typeof values[index] === "number";
  return [...values.keys()].filter((index) => isKnown(index) && !isKnown(index - 1) && !isKnown(index + 1));
}

/**
 * The range of an axis: what is on it with room above and below, never so narrow that noise looks like news, and never
 * below 0 where nothing is.
 */
export function axisRange(least: number, greatest: number, narrowest: number): [number, number] {
  const lack = Math.max(narrowest - (greatest - least), 0);
  const room = (greatest - least + lack) * 0.08;
  const low = least - lack / 2 - room;
  const high = greatest + lack / 2 + room;
  return least >= 0 && low < 0 ? [0, Math.max(high, narrowest)] : [low, high];
}
