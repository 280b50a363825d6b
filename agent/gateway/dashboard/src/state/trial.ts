import * as client from "../api/client";
import { Store } from "./store";

/** When a change of the network that is on trial is taken back, RFC 3339; `null` if none is. */
export const trial = new Store<string | null>(null);

/** Asks whether a change is on trial. */
export async function reloadTrial(): Promise<void> {
  trial.set((await client.network()).value.confirm_by);
}

/** Keeps the change. */
export async function confirmTrial(): Promise<void> {
  await client.confirmNetwork();
  trial.set(null);
}
