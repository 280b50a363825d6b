import { asProblem, type Problem } from "./problem";

/** The largest part that is sent at once, as the interface has it. */
export const LARGEST_CHUNK = 8 << 20;
const SMALLEST_CHUNK = 256 << 10;
/** A part should take about so long: long enough to be quick, short enough that progress shows. */
const CHUNK_MS = 700;

export type UploadState =
  /** `sent`: all is there, and a job packs it. */
  | { phase: "sending" | "paused" | "cancelled" | "sent"; offset: number }
  /** The connection is away; it goes on by itself. */
  | { phase: "waiting"; offset: number; problem: Problem }
  | { phase: "failed"; offset: number; problem: Problem };

/** How far the appliance is. */
export interface Arrived {
  offset: number;
  /** Whether it has begun to make a model of it. With all bytes there it may not have: an empty part tries again. */
  isWhole: boolean;
}

/** What an upload needs of the appliance. */
export interface UploadDoor {
  start(): Promise<{ id: string; offset: number }>;
  send(id: string, offset: number, chunk: Blob, signal: AbortSignal): Promise<Arrived>;
  offset(id: string, signal: AbortSignal): Promise<Arrived>;
  cancel(id: string): Promise<void>;
  /** Waits before it tries again. */
  wait(attempt: number, signal: AbortSignal): Promise<void>;
  /** Milliseconds from any instant on. */
  now(): number;
}

/** The size of the next part, after one of so many bytes took so long. */
export function nextChunk(bytes: number, milliseconds: number): number {
  const wanted = (bytes * CHUNK_MS) / Math.max(milliseconds, 1);
  const steady = Math.min(Math.max(wanted, bytes / 2), bytes * 2);
  return Math.round(Math.min(Math.max(steady, SMALLEST_CHUNK), LARGEST_CHUNK));
}

/** A file on its way to the appliance. It can be paused, goes on where it was, and survives a lost connection. */
export class Upload {
  #state: UploadState = { phase: "sending", offset: 0 };
  #id: string | null = null;
  #chunk = SMALLEST_CHUNK;
  #running: AbortController | null = null;

  constructor(
    private readonly file: Blob,
    private readonly door: UploadDoor,
    private readonly onState: (state: UploadState) => void,
  ) {}

  /** Sends until all is there, or until somebody pauses or cancels it. */
  async run(): Promise<void> {
    if (this.#running !== null) return;
    const running = new AbortController();
    this.#running = running;
    this.#tell({ phase: "sending", offset: this.#state.offset });
    try {
      await this.#sendAll(running.signal);
    } catch (thrown) {
      if (!running.signal.aborted) {
        this.#tell({ phase: "failed", offset: this.#state.offset, problem: asProblem(thrown) });
      }
    } finally {
      if (this.#running === running) this.#running = null;
    }
  }

  pause(): void {
    this.#stop();
    this.#tell({ phase: "paused", offset: this.#state.offset });
  }

  /** Gives it up; what the appliance has of it is thrown away. */
  async cancel(): Promise<void> {
    this.#stop();
    this.#tell({ phase: "cancelled", offset: this.#state.offset });
    if (this.#id !== null) await this.door.cancel(this.#id);
  }

  #stop(): void {
    this.#running?.abort();
    this.#running = null;
  }

  async #sendAll(signal: AbortSignal): Promise<void> {
    let failures = 0;
    for (;;) {
      try {
        let arrived = await this.#whereItIs(signal);
        while (!arrived.isWhole && !signal.aborted) {
          this.#tell({ phase: "sending", offset: arrived.offset });
          arrived = await this.#sendOne(arrived.offset, signal);
          failures = 0;
        }
        if (!signal.aborted) this.#tell({ phase: "sent", offset: arrived.offset });
        return;
      } catch (thrown) {
        if (signal.aborted) return;
        failures += 1;
        await this.#comeBack(thrown, failures, signal);
      }
    }
  }

  /** Where to go on: what the appliance says, not what was sent last. */
  async #whereItIs(signal: AbortSignal): Promise<Arrived> {
    if (this.#id !== null) return this.door.offset(this.#id, signal);
    const started = await this.door.start();
    this.#id = started.id;
    if (signal.aborted && this.#state.phase === "cancelled") await this.door.cancel(started.id);
    return { offset: started.offset, isWhole: false };
  }

  async #sendOne(offset: number, signal: AbortSignal): Promise<Arrived> {
    const size = Math.min(this.#chunk, this.file.size - offset);
    const begun = this.door.now();
    const answer = await this.door.send(
      this.#id ?? "",
      offset,
      this.file.slice(offset, offset + size),
      signal,
    );
    if (size === this.#chunk) this.#chunk = nextChunk(size, this.door.now() - begun);
    return answer;
  }

  /** Waits for a connection to come back; what does not pass by itself is thrown on. */
  async #comeBack(thrown: unknown, failures: number, signal: AbortSignal): Promise<void> {
    const problem = asProblem(thrown);
    if (problem.status === 404) this.#id = null; // It was thrown away meanwhile: the next try begins anew.
    const isElsewhere = problem.status === 409 && failures < 3; // It has more or less than we believe: ask again.
    if (!problem.isPassing && !isElsewhere) throw problem;
    this.#tell({ phase: "waiting", offset: this.#state.offset, problem });
    await this.door.wait(failures, signal);
  }

  #tell(state: UploadState): void {
    this.#state = state;
    this.onState(state);
  }
}
