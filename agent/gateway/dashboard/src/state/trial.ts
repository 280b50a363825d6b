import * as client from "../api/client";
import { Store } from "./store";

/** A change of the network that is on trial. */
export interface Trial {
  /** When it is taken back, by this machine's clock in ms. */
  until: number;
  /** Tells it from another. */
  etag: string | null;
}

/** The change that is on trial; `null` if none is. */
export const trial = new Store<Trial | null>(null);

/** An instant of the appliance's clock by this machine's, which may show something else. */
export function hereAt(instant: string, theirNow: string | null, now: number): number {
  const theirs = theirNow === null ? now : Date.parse(theirNow);
  return now + (Date.parse(instant) - (Number.isNaN(theirs) ? now : theirs));
}

/** Asks whether a change is on trial. */
export async function reloadTrial(): Promise<void> {
  const { value, etag, date } = await client.network();
  const { confirm_by } = value;
  trial.set(confirm_by === null ? null : { until: hereAt(confirm_by, date, Date.now()), etag });
}

/** Keeps the change by which this page has come. */
export async function confirmTrial({ etag }: Trial): Promise<void> {
  await client.confirmNetwork(etag);
  trial.set(null);
}
