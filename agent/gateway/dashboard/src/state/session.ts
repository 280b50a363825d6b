import * as client from "../api/client";
import type { Role, Session } from "../api/contract";
import { asProblem, type Problem } from "../api/problem";
import { whenSignedOut } from "../api/request";
import { forgetAll, keepFor } from "./belongings";
import { Store } from "./store";

export type SessionState =
  | { state: "asking" }
  | { state: "unreachable"; problem: Problem }
  /** `hasEnded`: there was a session, and the appliance no longer knows it. */
  | { state: "out"; hasEnded: boolean }
  | { state: "in"; session: Session };

export const session = new Store<SessionState>({ state: "asking" });

const ROLES: readonly Role[] = ["read", "chat", "admin"];

/** Whether one role may do what another may. */
export function mayDo(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed);
}

/** Asks who is signed in. */
export async function askSession(): Promise<void> {
  try {
    enter(await client.session());
  } catch (thrown) {
    const problem = asProblem(thrown);
    if (problem.status === 401) session.set({ state: "out", hasEnded: false });
    else session.set({ state: "unreachable", problem });
  }
}

export async function signIn(token: string): Promise<void> {
  await client.signIn(token);
  enter(await client.session());
}

function enter(signed: Session): void {
  keepFor(signed);
  session.set({ state: "in", session: signed });
}

export async function signOut(): Promise<void> {
  await client.signOut();
  forgetAll();
  session.set({ state: "out", hasEnded: false });
}

whenSignedOut(() => {
  if (session.value.state === "in") session.set({ state: "out", hasEnded: true });
});
