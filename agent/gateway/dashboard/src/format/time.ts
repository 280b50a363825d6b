/** Instants and spans of time as people read them, in the browser's time zone. */

import { UNKNOWN } from "./units";

const LOCALE = "en-GB";
const clock = new Intl.DateTimeFormat(LOCALE, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const shortClock = new Intl.DateTimeFormat(LOCALE, { hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(LOCALE, { weekday: "short", day: "numeric" });
const day = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short", year: "numeric" });
const DAY_AND_CLOCK: Intl.DateTimeFormatOptions = {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
};
const dayAndClock = new Intl.DateTimeFormat(LOCALE, DAY_AND_CLOCK);

const DAY_SECONDS = 86_400;

/** 15:04:05 */
const timeOfDay = (unixSeconds: number): string => clock.format(unixSeconds * 1000);

/** A mark on an axis that covers so many seconds. */
export function axisTime(unixSeconds: number, span: number): string {
  return (span > DAY_SECONDS ? weekday : shortClock).format(unixSeconds * 1000);
}

/** The moment under a cursor, on an axis that covers so many seconds. */
export function momentTime(unixSeconds: number, span: number): string {
  return span > DAY_SECONDS
    ? `${weekday.format(unixSeconds * 1000)}, ${shortClock.format(unixSeconds * 1000)}`
    : timeOfDay(unixSeconds);
}

/** A date in RFC 3339 as 22 Nov 2026. */
export const date = (text: string | null): string => instant(text, day);

/** An instant in RFC 3339 as 22 Nov 2026, 15:04. */
export const dateTime = (text: string | null): string => instant(text, dayAndClock);

/** An instant in RFC 3339 as 15:04:05. */
export const clockTime = (text: string | null): string => instant(text, clock);

/** The same in a time zone of its own; in the browser's where the browser does not know it. */
export function dateTimeIn(text: string | null, timeZone: string): string {
  try {
    return instant(text, new Intl.DateTimeFormat(LOCALE, { ...DAY_AND_CLOCK, timeZone }));
  } catch {
    return dateTime(text);
  }
}

function instant(text: string | null, format: Intl.DateTimeFormat): string {
  const milliseconds = text === null ? Number.NaN : Date.parse(text);
  return Number.isNaN(milliseconds) ? UNKNOWN : format.format(milliseconds);
}

const SPAN_UNITS: [number, string][] = [
  [DAY_SECONDS, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
];

/** A span in its two greatest units: 3 d 4 h, 12 min, 40 s. */
export function span(seconds: number): string {
  if (!Number.isFinite(seconds)) return UNKNOWN;
  let rest = Math.max(Math.round(seconds), 0);
  const first = SPAN_UNITS.findIndex(([size]) => rest >= size);
  if (first < 0) return "0 s";
  const parts: string[] = [];
  for (const [size, unit] of SPAN_UNITS.slice(first, first + 2)) {
    const whole = Math.floor(rest / size);
    rest -= whole * size;
    if (whole > 0) parts.push(`${whole} ${unit}`);
  }
  return parts.join(" ");
}

/** How long it is until an instant since the machine's start, in seconds. */
export function secondsUntil(bootMicroseconds: number, uptimeSeconds: number): number {
  return bootMicroseconds / 1e6 - uptimeSeconds;
}
