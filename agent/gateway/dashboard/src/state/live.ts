import * as client from "../api/client";
import type { Alert, Engine, Job, SampleEvent } from "../api/contract";
import { type Connection, follow } from "../api/follow";
import type { ServerEvent } from "../api/stream";
import { whileSeen } from "./seen";
import { Store } from "./store";

/** What the appliance tells by itself, as long as the page is looked at. */
export const connection = new Store<Connection>({ state: "connecting" });
export const newestSample = new Store<SampleEvent | null>(null);
export const engine = new Store<Engine | null>(null);
/** Long work, newest first. */
export const jobs = new Store<Job[]>([]);
/** Newest first. */
export const alerts = new Store<Alert[]>([]);
/** Grows whenever the list of models is another one. */
export const modelsVersion = new Store(0);
/** Grows with each new connection: what was told before it may have been missed. */
export const connectionVersion = new Store(0);

const EVENTS = "/api/v1/events";
const MOST_ALERTS = 20;

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
      if (now.state === "live") void catchUp();
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

/** Asks for what events only tell at a change. */
async function catchUp(): Promise<void> {
  connectionVersion.update((version) => version + 1);
  modelsVersion.update((version) => version + 1);
  const [nowEngine, nowJobs] = await Promise.allSettled([client.engine(), client.jobs()]);
  // What cannot be had stays as it was: the connection's own state says that something is wrong.
  if (nowEngine.status === "fulfilled") engine.set(nowEngine.value);
  if (nowJobs.status === "fulfilled") jobs.set(newestFirst(nowJobs.value));
}

function received({ event, data }: ServerEvent): void {
  if (event === "sample") newestSample.set(JSON.parse(data) as SampleEvent);
  if (event === "engine") engine.set(JSON.parse(data) as Engine);
  if (event === "job") jobs.update((known) => withJob(known, JSON.parse(data) as Job));
  if (event === "alert")
    alerts.update((known) => [JSON.parse(data) as Alert, ...known].slice(0, MOST_ALERTS));
  if (event === "models") modelsVersion.update((version) => version + 1);
}

/** The jobs with one of them as it is now. One that has ended stays so: an answer can be older than an event. */
export function withJob(known: Job[], job: Job): Job[] {
  const before = known.find((other) => other.id === job.id);
  if (before !== undefined && before.ended !== null && job.ended === null) return known;
  return newestFirst([job, ...known.filter((other) => other !== before)]);
}

function newestFirst(list: Job[]): Job[] {
  return [...list].sort((one, other) => Date.parse(other.started) - Date.parse(one.started));
}
