import * as client from "../api/client";
import type { Alert, Engine, Job, SampleEvent } from "../api/contract";
import { type Connection, follow } from "../api/follow";
import type { ServerEvent } from "../api/stream";
import { whileSeen } from "./seen";
import { Store } from "./store";
import { hereAt } from "./trial";

/** A job, and when it ended by this machine's clock, in ms: the appliance's may show something else. */
export interface SeenJob extends Job {
  endedHere: number | null;
}

/** What the appliance tells by itself, as long as the page is looked at. */
export const connection = new Store<Connection>({ state: "connecting" });
export const newestSample = new Store<SampleEvent | null>(null);
export const engine = new Store<Engine | null>(null);
/** Long work, newest first. */
export const jobs = new Store<SeenJob[]>([]);
/** Newest first. */
export const alerts = new Store<Alert[]>([]);
/** Grows whenever the list of models is another one. */
export const modelsVersion = new Store(0);
/** Grows with each new connection: what was told before it may have been missed. */
export const connectionVersion = new Store(0);

/** What events have told since the connection began: an answer can be older. */
let heard: { engine: boolean; jobs: SeenJob[] } = { engine: false, jobs: [] };

const EVENTS = "/api/v1/events";
const MOST_ALERTS = 20;
/** How long ago a job may have ended to be worth telling of. */
const RECENT_MS = 10 * 60_000;

/** Follows the appliance's events while the page can be seen. */
export function startLive(): () => void {
  const stop = whileSeen(begin);
  return () => {
    stop();
    forget();
  };
}

function begin(signal: AbortSignal): void {
  const follower = {
    onEvent: received,
    onConnection: (now: Connection) => {
      connection.set(now);
      if (now.state === "live") void catchUp(now.date);
    },
  };
  void follow(EVENTS, follower, signal);
}

/** What one person saw is not for the next. */
function forget(): void {
  connection.set({ state: "connecting" });
  newestSample.set(null);
  engine.set(null);
  jobs.set([]);
  alerts.set([]);
}

/** Asks for what events only tell at a change. `date`: the appliance's clock now. */
async function catchUp(date: string | null): Promise<void> {
  const mine: typeof heard = { engine: false, jobs: [] };
  heard = mine;
  connectionVersion.update((version) => version + 1);
  modelsVersion.update((version) => version + 1);
  const [nowEngine, nowJobs] = await Promise.allSettled([client.engine(), client.jobs()]);
  if (heard !== mine) return; // Another connection has begun, and asks itself.
  // What cannot be had stays as it was: the connection's own state says that something is wrong.
  if (nowEngine.status === "fulfilled" && !mine.engine) engine.set(nowEngine.value);
  if (nowJobs.status === "fulfilled") {
    const now = Date.now();
    const told = nowJobs.value.map((job) => seenJob(job, date, now));
    jobs.set(caughtUp(told, mine.jobs));
  }
}

function received({ event, data }: ServerEvent): void {
  if (event === "sample") newestSample.set(JSON.parse(data) as SampleEvent);
  if (event === "engine") {
    heard.engine = true;
    engine.set(JSON.parse(data) as Engine);
  }
  if (event === "job") hearOf(JSON.parse(data) as Job);
  if (event === "alert")
    alerts.update((known) => [JSON.parse(data) as Alert, ...known].slice(0, MOST_ALERTS));
  if (event === "models") modelsVersion.update((version) => version + 1);
}

/** Takes in how a job is now. */
export function hearOf(job: Job): void {
  // One whose end is told now has ended now.
  const seen = seenJob(job, job.ended, Date.now());
  heard.jobs = withJob(heard.jobs, seen);
  jobs.update((known) => withJob(known, seen));
}

/** A job that was told of at an instant of both clocks. */
export function seenJob(job: Job, theirNow: string | null, now: number): SeenJob {
  return { ...job, endedHere: job.ended === null ? null : hereAt(job.ended, theirNow, now) };
}

/** The jobs of an answer, with what events have told since it was asked for. */
export function caughtUp(told: SeenJob[], since: SeenJob[]): SeenJob[] {
  return since.reduce(withJob, newestFirst(told));
}

/** The jobs with one of them as it is now. One that has ended stays so: an answer can be older than an event. */
export function withJob(known: SeenJob[], job: SeenJob): SeenJob[] {
  const before = known.find((other) => other.id === job.id);
  if (before !== undefined && before.ended !== null && job.ended === null) return known;
  return newestFirst([job, ...known.filter((other) => other !== before)]);
}

/** Those that go on, or have ended so lately that it is worth telling. */
export function current(list: SeenJob[], now: number): SeenJob[] {
  return list.filter(({ endedHere }) => endedHere === null || endedHere > now - RECENT_MS);
}

function newestFirst(list: SeenJob[]): SeenJob[] {
  return [...list].sort((one, other) => Date.parse(other.started) - Date.parse(one.started));
}
