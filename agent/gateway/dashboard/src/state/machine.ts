import * as client from "../api/client";
import type { Status } from "../api/contract";
import { Store } from "./store";

/** The machine's own state, as it was last read; `null` until then. */
export const machine = new Store<Status | null>(null);

/** Reads it anew. */
export async function readMachine(): Promise<void> {
  machine.set(await client.status());
}
