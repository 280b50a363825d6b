import { asProblem, type Problem } from "./problem";
import { isAbort, send } from "./request";
import { eventsOf, type ServerEvent, textOf } from "./stream";

/** How a followed stream fares. */
export type Connection =
  | { state: "connecting" }
  /** `date`: the appliance's clock when it answered, as the header `Date` has it. */
  | { state: "live"; date: string | null }
  | { state: "lost"; problem: Problem };

export interface Follower {
  onEvent: (event: ServerEvent) => void;
  onConnection: (connection: Connection) => void;
}

/** A stream that says nothing for so long is dead: the appliance sends a comment every 15 s. */
const SILENCE_MS = 40_000;
const SHORTEST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 15_000;

/** How long to wait before the next try, after so many that failed in a row. */
export function waitBefore(attempt: number): number {
  return Math.min(SHORTEST_WAIT_MS * 2 ** (attempt - 1), LONGEST_WAIT_MS);
}

/**
 * Follows a stream of events until the signal says to stop, and connects again whenever it breaks off. It ends by
 * itself only where trying again is of no use: signed out, or not allowed.
 */
export async function follow(
  path: string,
  follower: Follower,
  signal: AbortSignal,
  wait: typeof pause = pause,
): Promise<void> {
  follower.onConnection({ state: "connecting" });
  for (let attempt = 1; !signal.aborted; attempt += 1) {
    const problem = await followOnce(path, follower, signal, () => {
      attempt = 0;
    });
    if (signal.aborted) return;
    follower.onConnection({ state: "lost", problem });
    if (problem.status === 401 || problem.status === 403) return;
    await wait(waitBefore(Math.max(attempt, 1)), signal);
  }
}

/** Follows a stream until it breaks off, and returns why it did. */
async function followOnce(
  path: string,
  follower: Follower,
  signal: AbortSignal,
  onLive: () => void,
): Promise<Problem> {
  const silence = new Watchdog(SILENCE_MS, signal);
  try {
    const headers = { Accept: "text/event-stream" };
    const response = await send("GET", path, { headers, signal: silence.signal });
    onLive();
    follower.onConnection({ state: "live", date: response.headers.get("Date") });
    for await (const event of eventsOf(textOf(response, () => silence.feed()))) follower.onEvent(event);
    return brokenOff();
  } catch (thrown) {
    return isAbort(thrown) || thrown instanceof TypeError ? brokenOff() : asProblem(thrown);
  } finally {
    silence.end();
  }
}

function brokenOff(): Problem {
  return asProblem(new Error("the connection broke off"));
}

/** Aborts what is under way when nothing has come for a while, or when the outer signal says so. */
class Watchdog {
  readonly #controller = new AbortController();
  readonly #abort = () => this.#controller.abort();
  #timer: ReturnType<typeof setTimeout>;

  constructor(
    private readonly milliseconds: number,
    private readonly outer: AbortSignal,
  ) {
    outer.addEventListener("abort", this.#abort);
    this.#timer = setTimeout(this.#abort, milliseconds);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  feed(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#abort, this.milliseconds);
  }

  end(): void {
    clearTimeout(this.#timer);
    this.outer.removeEventListener("abort", this.#abort);
  }
}

/** Waits; shorter if the browser says that the network is back, or if nobody waits any more. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      globalThis.removeEventListener?.("online", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    globalThis.addEventListener?.("online", done);
    signal.addEventListener("abort", done);
  });
}
