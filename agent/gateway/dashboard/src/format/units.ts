/** Numbers as people read them. What was not measured is a dash, never 0. */

/** Stands for what is not known. */
export const UNKNOWN = "–";

type Reading = number | null | undefined;

/** A reading in words, with a true minus; {@link UNKNOWN} for one that is missing or no number. */
function reading(value: Reading, words: (value: number) => string): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return UNKNOWN;
  return words(value).replace(/^-/, "−");
}

const grouped = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** A number without decimals, in groups of three digits. */
export const count = (value: Reading): string => reading(value, (known) => grouped.format(known));

/** A count of things with the thing's name. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** About three digits: 0.42, 7.5, 61, 1,024. */
function short(value: number): string {
  const size = Math.abs(value);
  if (size >= 99.5) return grouped.format(value);
  return value.toFixed(size >= 9.95 ? 1 : 2).replace(/\.?0+$/, "");
}

/** Degrees Celsius. */
export const celsius = (value: Reading): string => reading(value, (known) => `${fixed(known, 1)} °C`);

/** Thousandths of a degree, as the kernel tells them. */
export const milliCelsius = (value: Reading): string =>
  celsius(value === null || value === undefined ? value : value / 1000);

/** A clock in Hz. */
export const hertz = (value: Reading): string =>
  reading(value, (known) => (known >= 1e9 ? `${fixed(known / 1e9, 2)} GHz` : `${fixed(known / 1e6, 0)} MHz`));

/** A clock in kHz, as cpufreq tells it. */
export const kiloHertz = (value: Reading): string =>
  hertz(value === null || value === undefined ? value : value * 1000);

export const watts = (value: Reading): string => reading(value, (known) => `${fixed(known, 1)} W`);

const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB", "PB"];

/** Bytes in decimal units, as disks and the project's goals are told. */
export const bytes = (value: Reading): string =>
  reading(value, (known) => {
    let scaled = known;
    let unit = 0;
    while (Math.abs(scaled) >= 999.5 && unit < BYTE_UNITS.length - 1) {
      scaled /= 1000;
      unit += 1;
    }
    return `${unit === 0 ? grouped.format(scaled) : short(scaled)} ${BYTE_UNITS[unit]}`;
  });

/** Tokens per second. */
export const rate = (value: Reading): string => reading(value, (known) => `${short(known)} tok/s`);

const PARAMETER_UNITS: [number, string][] = [
  [1e12, "T"],
  [1e9, "B"],
  [1e6, "M"],
  [1e3, "k"],
];

/** Parameters of a model: 135 M, 1.5 B. */
export const parameters = (value: Reading): string =>
  reading(value, (known) => {
    const [size, unit] = PARAMETER_UNITS.find(([size]) => known >= size) ?? [1, ""];
    return `${short(known / size)} ${unit}`.trim();
  });

/** A share from 0 to 1, rounded down, so that only the whole is 100 %. */
export const percent = (share: number): string =>
  `${Math.floor(Math.min(Math.max(Number.isFinite(share) ? share : 0, 0), 1) * 100)} %`;

/** So many decimals, and no minus before nothing. */
function fixed(value: number, decimals: number): string {
  const text = value.toFixed(decimals);
  return Number(text) === 0 ? text.replace("-", "") : text;
}
