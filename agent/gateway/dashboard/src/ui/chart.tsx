import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Phase } from "../api/contract";
import { axisTime, momentTime } from "../format/time";
import { axisRange, lonely } from "../samples/history";
import { useStore } from "../state/store";
import { theme } from "../state/theme";

export interface ChartProps {
  label: string;
  /** Unix seconds. */
  time: number[];
  values: (number | null)[];
  /** Seconds that the axis of time covers. */
  span: number;
  format: (value: number | null) => string;
  /** The name of the colour's custom property. */
  color: string;
  /** The axis covers at least so much. */
  narrowest: number;
  /** Whether the axis begins at 0, so that heights can be compared. */
  isFromZero: boolean;
  /** A value that is marked by a line: a target, a limit. */
  mark?: number | null | undefined;
  /** What the engine was doing, shown as a band below the line. */
  phases?: (Phase | null)[] | undefined;
}

/** A moment that somebody points at. */
interface Moment {
  index: number;
  text: string;
}

const HEIGHT = 132;
const AXIS_WIDTH = 62;
const BAND_HEIGHT = 6;
const FONT = "11px system-ui, sans-serif";
const SYNC = uPlot.sync("overview").key;

/**
 * A line over time. Pointing at it, or moving along it with the arrow keys, tells the value of a moment; all charts
 * point at the same one.
 */
export function Chart(props: ChartProps) {
  const shownTheme = useStore(theme);
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const newest = useRef(props);
  newest.current = props;
  const [moment, setMoment] = useState<Moment | null>(null);

  // biome-ignore lint/correctness/useExhaustiveDependencies: colours are read anew when the theme is another one
  useEffect(() => {
    const element = host.current;
    if (element === null) return;
    const pointedAt = (index: number | null | undefined) => setMoment(momentOf(newest.current, index));
    const made = new uPlot(optionsFor(element, newest, pointedAt), dataOf(newest.current), element);
    plot.current = made;
    const resized = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shownTheme]);

  useEffect(() => plot.current?.setData(dataOf(props)), [props]);

  const last = props.time.length - 1;
  const now = moment?.index ?? last;
  return (
    <div
      class="chart"
      role="slider"
      tabIndex={0}
      aria-label={`${props.label} over time`}
      aria-valuemin={0}
      aria-valuemax={Math.max(last, 0)}
      aria-valuenow={Math.max(now, 0)}
      aria-valuetext={moment?.text ?? momentOf(props, last)?.text ?? "nothing measured"}
      onKeyDown={(event) => moved(event, plot.current, now, last)}
      onBlur={() => plot.current?.setCursor({ left: -10, top: -10 })}
    >
      <div ref={host} class="chart-plot" aria-hidden="true" />
      <p class="chart-moment">{moment?.text ?? ""}</p>
    </div>
  );
}

function dataOf({ time, values }: ChartProps): uPlot.AlignedData {
  return [time, values];
}

function momentOf(props: ChartProps, index: number | null | undefined): Moment | null {
  const time = index === null || index === undefined ? undefined : props.time[index];
  if (time === undefined || index === null || index === undefined) return null;
  const phase = props.phases?.[index];
  const value = props.format(props.values[index] ?? null);
  return { index, text: `${momentTime(time, props.span)}: ${value}${phase ? `, ${phase}` : ""}` };
}

function moved(event: KeyboardEvent, plot: uPlot | null, now: number, last: number): void {
  const page = Math.max(Math.round(last / 10), 1);
  const steps: Record<string, number> = {
    ArrowLeft: now - 1,
    ArrowRight: now + 1,
    PageDown: now - page,
    PageUp: now + page,
    Home: 0,
    End: last,
  };
  const wanted = steps[event.key];
  if (plot === null || wanted === undefined || last < 0) return;
  event.preventDefault();
  const index = Math.min(Math.max(wanted, 0), last);
  // The oldest row may have left the axis by a hair.
  const left = Math.max(plot.valToPos(plot.data[0][index] ?? 0, "x"), 0);
  plot.setCursor({ left, top: plot.over.clientHeight / 2 });
}

function optionsFor(
  element: HTMLElement,
  newest: { current: ChartProps },
  pointedAt: (index: number | null | undefined) => void,
): uPlot.Options {
  const colors = colorsOf(element, newest.current.color);
  const grid = { stroke: colors.line, width: 1 };
  const axis = { stroke: colors.text, font: FONT, grid, ticks: { show: false } };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    padding: [8, 16, 0, 0],
    cursor: {
      y: false,
      drag: { x: false, y: false },
      points: { size: 7 },
      sync: { key: SYNC, setSeries: false },
    },
    scales: {
      x: { time: true, range: (self) => window(self, newest.current.span) },
      y: { range: (_, least, greatest) => rangeFor(newest.current, least, greatest) },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 24,
        space: 64,
        values: (_, marks) => marks.map((mark) => axisTime(mark, newest.current.span)),
      },
      {
        ...axis,
        size: AXIS_WIDTH,
        space: 26,
        values: (_, marks) => marks.map((mark) => newest.current.format(mark)),
      },
    ],
    series: [
      {},
      {
        stroke: colors.series,
        fill: colors.fill,
        width: 1.75,
        spanGaps: false,
        points: {
          show: true,
          size: 4,
          fill: colors.series,
          filter: (self) => lonely(Array.from(self.data[1] ?? [])),
        },
      },
    ],
    hooks: {
      drawAxes: [(self) => drawMark(self, newest.current.mark, colors.text)],
      draw: [(self) => drawPhases(self, newest.current, colors.phases)],
      setCursor: [(self) => pointedAt(isPointedAt(self) ? self.cursor.idx : null)],
    },
  };
}

function isPointedAt(plot: uPlot): boolean {
  return (plot.cursor.left ?? -1) >= 0;
}

/** The axis of time ends at the newest row, or now if there is none, and covers its whole span. */
function window(plot: uPlot, span: number): [number, number] {
  const end = plot.data[0].at(-1) ?? Date.now() / 1000;
  return [end - span, end];
}

function rangeFor(
  { mark, narrowest, isFromZero }: ChartProps,
  least: number | null,
  greatest: number | null,
): [number, number] {
  const values = [least, greatest, mark, isFromZero ? 0 : null].filter((value) => typeof value === "number");
  if (values.length === 0) return [0, narrowest];
  return axisRange(Math.min(...values), Math.max(...values), narrowest);
}

function drawMark(plot: uPlot, mark: number | null | undefined, color: string): void {
  if (mark === null || mark === undefined) return;
  const { ctx, bbox } = plot;
  const y = Math.round(plot.valToPos(mark, "y", true));
  ctx.save();
  ctx.strokeStyle = color;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.restore();
}

/** A band at the foot of the plot: each row's phase lasts until the next row. */
function drawPhases(plot: uPlot, { time, phases }: ChartProps, colors: Record<Phase, string>): void {
  if (phases === undefined) return;
  const { ctx, bbox } = plot;
  const height = BAND_HEIGHT * devicePixelRatio;
  const top = bbox.top + bbox.height - height;
  const xOf = (index: number) => Math.max(plot.valToPos(time[index] ?? 0, "x", true), bbox.left);
  ctx.save();
  for (let begin = 0; begin < phases.length; ) {
    let end = begin + 1;
    while (end < phases.length && phases[end] === phases[begin]) end += 1;
    const phase = phases[begin];
    if (phase) {
      ctx.fillStyle = colors[phase];
      ctx.fillRect(xOf(begin), top, xOf(Math.min(end, phases.length - 1)) - xOf(begin), height);
    }
    begin = end;
  }
  ctx.restore();
}

function colorsOf(element: HTMLElement, series: string) {
  const style = getComputedStyle(element);
  const named = (name: string) => style.getPropertyValue(name).trim();
  return {
    line: named("--line"),
    text: named("--muted"),
    series: named(series),
    fill: `${named(series)}1f`,
    phases: {
      idle: named("--phase-idle"),
      loading: named("--phase-loading"),
      prefill: named("--phase-prefill"),
      decode: named("--phase-decode"),
    },
  };
}
