import type { MemoryUse, Power, Thermal } from "../../api/contract";
import { dateTime } from "../../format/time";
import { alerts, engine } from "../../state/live";
import { machine } from "../../state/machine";
import { addressOf } from "../../state/route";
import { useStore } from "../../state/store";
import { Icon } from "../../ui/icon";
import { heatWarning } from "./heat";

interface WarningsProps {
  power: Power | null;
  thermal: Thermal | null;
  memory: MemoryUse | null;
}

/** What somebody should know: heat, sensors that cannot be read, models that fail. Nothing, if all is well. */
export function Warnings({ power, thermal, memory }: WarningsProps) {
  const status = useStore(machine);
  const now = useStore(engine);
  const told = useStore(alerts);
  const lines: { key: string; text: string }[] = [];
  const add = (text: string) => {
    if (!lines.some((line) => line.text === text)) lines.push({ key: text, text });
  };

  if (status?.agent_problem) add(`The agent does not answer: ${status.agent_problem}`);
  const heat = thermal && heatWarning(thermal);
  if (heat !== null) add(heat);
  if (power?.performance_degraded)
    add(`The power profile cannot give all it promises: ${power.performance_degraded}`);
  if (power?.on_battery) add("The machine runs from its battery.");
  const read = [status?.sample?.warnings, thermal?.warnings, power?.foreign_writers, memory?.warnings];
  for (const warning of read.flatMap((list) => list ?? [])) add(`${warning.path}: ${warning.problem}`);

  const quarantined = now?.quarantined ?? [];
  if (lines.length === 0 && quarantined.length === 0 && told.length === 0) return null;
  return (
    <section class="warnings" aria-label="Warnings">
      <ul>
        {quarantined.map(({ model, reason }) => (
          <li key={model}>
            <Icon name="warning" />
            <span>
              <strong>{model}</strong> is in quarantine: {reason}{" "}
              <a href={addressOf("models")}>See the models</a>
            </span>
          </li>
        ))}
        {lines.map(({ key, text }) => (
          <li key={key}>
            <Icon name="warning" />
            <span>{text}</span>
          </li>
        ))}
        {told.map(({ time, level, message }) => (
          <li key={`${time} ${message}`} class={level}>
            <Icon name="warning" />
            <span>
              <time dateTime={time}>{dateTime(time)}</time> {message}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
