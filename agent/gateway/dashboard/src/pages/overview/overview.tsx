import { useCallback, useState } from "preact/hooks";
import * as client from "../../api/client";
import type { Role } from "../../api/contract";
import type { Problem } from "../../api/problem";
import { span } from "../../format/time";
import { machine, readMachine } from "../../state/machine";
import { useResource } from "../../state/resource";
import { useStore } from "../../state/store";
import { Segments } from "../../ui/field";
import { PageHead } from "../../ui/panel";
import { ProblemBox } from "../../ui/problem";
import { Charts } from "./charts";
import { EnginePanel } from "./engine";
import { MemoryPanel } from "./memory";
import { SensorsPanel } from "./sensors";
import { Warnings } from "./warnings";

const REFRESH_MS = 15_000;

const RANGES = [
  { value: "600", text: "10 minutes" },
  { value: "10800", text: "3 hours" },
  { value: "604800", text: "7 days" },
] as const;

type Range = (typeof RANGES)[number]["value"];

/** What the machine is doing, now and over time. */
export function Overview({ role }: { role: Role }) {
  const [range, setRange] = useState<Range>("600");
  const status = useResource(readMachine, REFRESH_MS);
  const power = useResource(client.power, REFRESH_MS);
  const thermal = useResource(client.thermal, REFRESH_MS);
  const memory = useResource(client.memory, REFRESH_MS);
  const pickRange = useCallback((value: Range) => setRange(value), []);
  return (
    <>
      <PageHead title="Overview">
        <Segments legend="Time shown" isLegendUnseen options={RANGES} value={range} onChange={pickRange} />
      </PageHead>
      <MachineLine />
      <ProblemBox problem={told([status.problem, power.problem, thermal.problem, memory.problem])} />
      <Warnings power={power.value} thermal={thermal.value} memory={memory.value} />
      <Charts span={Number(range)} thermal={thermal.value} memory={memory.value}>
        <EnginePanel role={role} />
      </Charts>
      <div class="columns">
        <SensorsPanel thermal={thermal.value} power={power.value} />
        <MemoryPanel memory={memory.value} />
      </div>
    </>
  );
}

/** The first problem that is not the lost connection, which is told above every page. */
function told(problems: (Problem | null)[]): Problem | null {
  return problems.find((problem) => problem !== null && problem.status !== 0) ?? null;
}

function MachineLine() {
  const status = useStore(machine);
  if (status === null) return null;
  const { capabilities } = status;
  const product = [capabilities?.dmi.sys_vendor, capabilities?.dmi.product_name].filter(Boolean).join(" ");
  const parts = [
    product,
    capabilities?.features.model_name,
    `up ${span(status.uptime_seconds)}`,
    `Hearth ${status.version}`,
  ];
  return <p class="machine-line">{parts.filter(Boolean).join(" · ")}</p>;
}
