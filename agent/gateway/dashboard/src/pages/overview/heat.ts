import type { Rung, Thermal } from "../../api/contract";

const STEPS: Record<Exclude<Rung, "free">, string> = {
  clock_cap: "The clock is held down.",
  cpu_quota: "The engine is rationed.",
  fewer_slots: "Fewer questions are answered at once.",
  engine_stopped: "The engine is stopped until it is cooler.",
  power_off: "The machine is being switched off.",
};

/**
 * What is done against heat, if somebody should know. A clock that is capped below the target is how the target is held
 * every day, and no warning.
 */
export function heatWarning(thermal: Pick<Thermal, "rung" | "assumed" | "target">): string | null {
  const { rung, assumed, target } = thermal;
  if (rung === "free") return null;
  if (rung === "clock_cap" && assumed !== null && assumed < target) return null;
  return `It is too warm. ${STEPS[rung]}`;
}
