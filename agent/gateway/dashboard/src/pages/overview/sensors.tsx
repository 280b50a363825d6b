import type { Power, Sensor, Thermal } from "../../api/contract";
import { count, kiloHertz, milliCelsius, watts } from "../../format/units";
import { Empty, Facts, Panel } from "../../ui/panel";
import { Pill } from "../../ui/pill";

const DISTRUST: Record<NonNullable<Sensor["distrust"]>, string> = {
  missing: "missing",
  absurd: "absurd",
  frozen: "frozen",
  contradicted: "contradicted",
};

/** Each sensor, whether it is believed, and what the machine does about heat. */
export function SensorsPanel({ thermal, power }: { thermal: Thermal | null; power: Power | null }) {
  return (
    <Panel title="Heat and power">
      <Facts
        facts={[
          ["Target", milliCelsius(thermal?.target)],
          ["Counts as", milliCelsius(thermal?.assumed)],
          ["Profile", power?.effective_profile ?? "–"],
          ["Package", watts(power?.package_watts)],
        ]}
      />
      {thermal !== null && thermal.sensors.length === 0 && (
        <Empty>This machine has no sensor that can be read.</Empty>
      )}
      <ul class="readings" aria-label="Sensors, fans and clocks">
        {thermal?.sensors.map(({ name, temp, distrust }) => (
          <li key={name}>
            <span class="reading-name">{name}</span>
            {distrust !== null && <Pill tone="warn">{DISTRUST[distrust]}</Pill>}
            <span class="figure">{milliCelsius(temp)}</span>
          </li>
        ))}
        {thermal?.cooling.map(({ name, rpm, cur_state, max_state }) => (
          <li key={name}>
            <span class="reading-name">{name}</span>
            <span class="figure">
              {rpm === null ? `${count(cur_state)} of ${count(max_state)}` : `${count(rpm)} rpm`}
            </span>
          </li>
        ))}
        {power?.policies.map(({ id, scaling_cur_freq, scaling_max_freq }) => (
          <li key={id}>
            <span class="reading-name">Clock, policy {id}</span>
            <span class="figure">
              {kiloHertz(scaling_cur_freq)} of {kiloHertz(scaling_max_freq)}
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
