import * as client from "../api/client";
import { Store } from "./store";

/** When a change of the network that is on trial is taken back, by this machine's clock in ms; `null` if none is. */
export const trial = new Store<number | null>(null);

/** An instant of the appliance's clock by this machine's, which may show something else. */
export function hereAt(instant: string, theirNow: string | null, now: number): number {
  const theirs = theirNow === null ? now : Date.parse(theirNow);
  return now + (Date.parse(instant) - (Number.isNaN(theirs) ? now : theirs));
}

/** Asks whether a change is on trial. */
export async function reloadTrial(): Promise<void> {
  const { value, date } = await client.network();
  trial.set(value.confirm_by === null ? null : hereAt(value.confirm_by, date, Date.now()));
}

/** Keeps the change. */
export async function confirmTrial(): Promise<void> {
  await client.confirmNetwork();
  trial.set(null);
}
