import type { MemoryPart, MemoryUse } from "../../api/contract";
import { bytes } from "../../format/units";
import { Facts, Panel } from "../../ui/panel";

const PARTS: Record<MemoryPart, string> = {
  anon: "Programs",
  shmem: "Temporary files",
  slab: "Kernel objects",
  threads: "Threads",
  tables: "Kernel tables",
  zram: "Compressed swap",
  reserve: "Reserves",
  withheld: "Withheld cache",
  rest: "Other",
};

const MOST_UNITS = 8;

/** Who holds memory, by Hearth's one definition of used: what new work cannot have. */
export function MemoryPanel({ memory }: { memory: MemoryUse | null }) {
  const parts = Object.entries(PARTS) as [MemoryPart, string][];
  const units = [...(memory?.cgroups ?? [])]
    .sort((one, other) => (other.current ?? 0) - (one.current ?? 0))
    .slice(0, MOST_UNITS);
  return (
    <Panel title="Memory">
      <Facts
        facts={[
          ["Used", bytes(memory?.used)],
          ["Total", bytes(memory?.meminfo.mem_total)],
          ["Aim at rest", bytes(memory?.goal.aim)],
        ]}
      />
      <h3>Made of</h3>
      <ul class="readings">
        {parts.map(([part, name]) => (
          <li key={part}>
            <span class="reading-name">{name}</span>
            <span class="figure">{bytes(memory?.parts?.[part])}</span>
          </li>
        ))}
      </ul>
      {units.length > 0 && <h3>By unit, cache included</h3>}
      <ul class="readings">
        {units.map(({ path, current }) => (
          <li key={path}>
            <span class="reading-name">{path.split("/").pop()}</span>
            <span class="figure">{bytes(current)}</span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
