import type { ComponentChildren } from "preact";
import type { MemoryUse, Metric, Thermal } from "../../api/contract";
import * as units from "../../format/units";
import { extremes, type History } from "../../samples/history";
import { Chart } from "../../ui/chart";
import { ProblemBox } from "../../ui/problem";
import { useHistory } from "./use-history";

interface MetricView {
  metric: Metric;
  title: string;
  format: (value: number | null) => string;
  color: string;
  narrowest: number;
  isFromZero?: true;
}

/** The narrowest axes keep a quiet machine's line quiet. */
const VIEWS: MetricView[] = [
  { metric: "temperature", title: "Temperature", format: units.celsius, color: "--series-1", narrowest: 10 },
  { metric: "clock", title: "Clock", format: units.hertz, color: "--series-2", narrowest: 5e8 },
  {
    metric: "power",
    title: "Power",
    format: units.watts,
    color: "--series-3",
    narrowest: 4,
    isFromZero: true,
  },
  { metric: "memory_used", title: "Memory used", format: units.bytes, color: "--series-4", narrowest: 5e7 },
  {
    metric: "tokens_per_second",
    title: "Tokens",
    format: units.rate,
    color: "--series-5",
    narrowest: 4,
    isFromZero: true,
  },
];

interface ChartsProps {
  span: number;
  thermal: Thermal | null;
  memory: MemoryUse | null;
  /** What stands beside the charts. */
  children: ComponentChildren;
}

/** A chart for each metric over the same span of time. */
export function Charts({ span, thermal, memory, children }: ChartsProps) {
  const { history, problem } = useHistory(span);
  const marks: Partial<Record<Metric, { name: string; value: number } | null>> = {
    temperature: thermal && { name: "target", value: thermal.target / 1000 },
    memory_used: memory && { name: "limit at rest", value: memory.goal.limit },
  };
  return (
    <>
      <ProblemBox problem={problem} />
      <div class="charts" aria-busy={history === null}>
        {VIEWS.map((view) => (
          <MetricCard
            key={view.metric}
            view={view}
            history={history}
            span={span}
            mark={marks[view.metric] ?? null}
          />
        ))}
        {children}
      </div>
    </>
  );
}

interface MetricCardProps {
  view: MetricView;
  history: History | null;
  span: number;
  mark: { name: string; value: number } | null;
}

function MetricCard({ view, history, span, mark }: MetricCardProps) {
  const values = history?.series[view.metric] ?? [];
  const known = extremes(values);
  const isOfEngine = view.metric === "tokens_per_second";
  return (
    <section class="panel metric" aria-label={view.title}>
      <header class="metric-head">
        <h2>{view.title}</h2>
        <p class="metric-now" data-metric={view.metric}>
          {view.format(known?.newest ?? null)}
        </p>
      </header>
      <Chart
        label={view.title}
        time={history?.time ?? []}
        values={values}
        span={span}
        format={view.format}
        color={view.color}
        narrowest={view.narrowest}
        isFromZero={view.isFromZero ?? false}
        mark={mark?.value}
        phases={isOfEngine ? history?.phase : undefined}
      />
      <p class="metric-foot">
        {known === null
          ? isOfEngine
            ? "No answers in this time"
            : "Not measured here"
          : `${view.format(known.least)} to ${view.format(known.greatest)}`}
        {mark !== null && ` · ${mark.name} ${view.format(mark.value)}`}
      </p>
      {isOfEngine && <PhaseLegend />}
    </section>
  );
}

function PhaseLegend() {
  return (
    <ul class="phase-legend" aria-label="Colours of the engine's phases">
      {["idle", "loading", "prefill", "decode"].map((phase) => (
        <li key={phase}>
          <span class={`swatch ${phase}`} aria-hidden="true" />
          {phase}
        </li>
      ))}
    </ul>
  );
}
