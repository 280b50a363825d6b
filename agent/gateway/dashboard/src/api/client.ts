/** The management interface, a function for each thing that the page asks or changes. */

import type {
  Clock,
  CreatedToken,
  Engine,
  Job,
  LogEntry,
  MemoryUse,
  ModelChange,
  Network,
  NetworkChange,
  Page,
  Power,
  PowerProfile,
  RemovedModel,
  RevokedToken,
  Role,
  Samples,
  Session,
  Status,
  StoredModel,
  Thermal,
  Tls,
  Token,
  UploadStart,
} from "./contract";
import type { ModelList } from "./openai";
import { idempotencyKey, requiredHeader, send, sendForJson } from "./request";
import { linesOf, textOf } from "./stream";
import type { Arrived } from "./upload";

const API = "/api/v1";

/** Something that was read, with the tag that a change of it must carry. */
export interface Tagged<T> {
  value: T;
  etag: string | null;
  /** The appliance's clock when it answered, as the header `Date` has it. */
  date: string | null;
}

const get = <T>(path: string): Promise<T> => sendForJson<T>("GET", `${API}${path}`);

const segment = encodeURIComponent;

// Who is signed in

export const session = (): Promise<Session> => get("/session");

export async function signIn(token: string): Promise<void> {
  await send("POST", `${API}/session`, { json: { token } });
}

export async function signOut(): Promise<void> {
  await send("DELETE", `${API}/session`);
}

// The machine

export const status = (): Promise<Status> => get("/status");
export const power = (): Promise<Power> => get("/power");
export const thermal = (): Promise<Thermal> => get("/thermal");
export const memory = (): Promise<MemoryUse> => get("/memory");
export const samples = (seconds: number): Promise<Samples> => get(`/samples?seconds=${seconds}`);

export async function setProfile(profile: PowerProfile): Promise<void> {
  await send("PUT", `${API}/power`, { json: { profile } });
}

/** Holds a profile for so many seconds; `null`: until it is released. */
export async function hold(profile: PowerProfile, reason: string, seconds: number | null): Promise<void> {
  await send("POST", `${API}/power/holds`, { json: { profile, reason, seconds } });
}

export async function releaseHold(id: number): Promise<void> {
  await send("DELETE", `${API}/power/holds/${id}`);
}

/** Sets the temperature to hold, in thousandths of a degree Celsius; `null`: the firmware profile's. */
export async function setTarget(target: number | null): Promise<void> {
  await send("PUT", `${API}/thermal`, { json: { target } });
}

// The engine

export const engine = (): Promise<Engine> => get("/engine");

export async function load(model: string): Promise<void> {
  await send("POST", `${API}/engine/load`, { json: { model } });
}

export async function unload(): Promise<void> {
  await send("POST", `${API}/engine/unload`);
}

/** The names of the models that can be asked, in the order of OpenAI's list. */
export async function chatModels(): Promise<string[]> {
  const list = await sendForJson<ModelList>("GET", "/v1/models");
  return list.data.map((model) => model.id);
}

// Models

export const models = (): Promise<StoredModel[]> =>
  all<{ models: StoredModel[] } & Page, StoredModel>("/models", (page) => page.models);

export async function changeModel(name: string, change: ModelChange): Promise<void> {
  await send("PATCH", `${API}/models/${segment(name)}`, { json: change });
}

export const removeModel = (name: string): Promise<RemovedModel> =>
  sendForJson("DELETE", `${API}/models/${segment(name)}`);

/** Lets a model be loaded again with which the engine has failed. */
export async function releaseModel(name: string): Promise<void> {
  await send("DELETE", `${API}/models/${segment(name)}/quarantine`);
}

/** Has all blocks of a model read, as a job. */
export const verifyModel = (name: string): Promise<Job> =>
  sendForJson("POST", `${API}/models/${segment(name)}/verify`, {
    headers: { Prefer: "respond-async", "Idempotency-Key": idempotencyKey() },
  });

export const jobs = (): Promise<Job[]> => all<{ jobs: Job[] } & Page, Job>("/jobs", (page) => page.jobs);

export async function cancelJob(id: string): Promise<void> {
  await send("DELETE", `${API}/jobs/${segment(id)}`);
}

// Uploads

/** Begins to send a file, or goes on with the one that `identity` tells from others of this name and size. */
export const startUpload = (
  name: string,
  file: string,
  size: number,
  identity: string,
): Promise<UploadStart> =>
  sendForJson("POST", `${API}/uploads`, {
    json: { name, file, size, identity },
    headers: { "Idempotency-Key": idempotencyKey() },
  });

/** Sends a part of a file; after the last byte the appliance begins the job `model.add`. */
export async function sendChunk(
  id: string,
  offset: number,
  chunk: Blob,
  signal: AbortSignal,
): Promise<Arrived> {
  const response = await send("PATCH", `${API}/uploads/${segment(id)}`, {
    body: chunk,
    headers: { "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" },
    signal,
  });
  return arrived(response);
}

/** How much of a file the appliance has. */
export async function uploadOffset(id: string, signal: AbortSignal): Promise<Arrived> {
  return arrived(await send("HEAD", `${API}/uploads/${segment(id)}`, { signal }));
}

function arrived(response: Response): Arrived {
  return {
    offset: Number(requiredHeader(response, "Upload-Offset")),
    isWhole: response.headers.has("Location"),
  };
}

export async function cancelUpload(id: string): Promise<void> {
  await send("DELETE", `${API}/uploads/${segment(id)}`);
}

// Tokens

export const tokens = (): Promise<Token[]> =>
  all<{ tokens: Token[] } & Page, Token>("/tokens", (page) => page.tokens);

export const createToken = (name: string, role: Role): Promise<CreatedToken> =>
  sendForJson("POST", `${API}/tokens`, { json: { name, role } });

export const revokeToken = (id: string): Promise<RevokedToken> =>
  sendForJson("DELETE", `${API}/tokens/${segment(id)}`);

// Network, time, certificate

export async function network(): Promise<Tagged<Network>> {
  const response = await send("GET", `${API}/network`);
  const { headers } = response;
  return { value: (await response.json()) as Network, etag: headers.get("ETag"), date: headers.get("Date") };
}

/** Changes the network on trial. Returns when the change comes back by itself, RFC 3339; `null`: it is what is kept. */
export async function setNetwork(change: NetworkChange, etag: string | null): Promise<string | null> {
  const answer = await sendForJson<{ confirm_by: string | null }>("PUT", `${API}/network`, {
    json: change,
    headers: etag === null ? {} : { "If-Match": etag },
  });
  return answer.confirm_by;
}

/** Keeps the change on trial, if it is the one that has this tag. */
export async function confirmNetwork(etag: string | null): Promise<void> {
  await send("POST", `${API}/network/confirm`, { headers: etag === null ? {} : { "If-Match": etag } });
}

export const clock = (): Promise<Clock> => get("/time");

export async function setClock(timezone: string, ntp: boolean): Promise<void> {
  await send("PUT", `${API}/time`, { json: { timezone, ntp } });
}

export const tls = (): Promise<Tls> => get("/tls");

/** Installs the owner's own certificate: PEM with those by which it leads to its authority, and its key in PEM. */
export const installCertificate = (certificate: string, key: string): Promise<Tls> =>
  sendForJson("PUT", `${API}/tls/certificate`, { json: { certificate, key } });

export const removeCertificate = (): Promise<Tls> => sendForJson("DELETE", `${API}/tls/certificate`);

/** Says whether port 80 answers requests with a token, unencrypted. */
export const setPlainHttp = (enabled: boolean): Promise<Tls> =>
  sendForJson("PUT", `${API}/tls/plain-http`, { json: { enabled } });

// Logs

export interface LogFilter {
  unit: string;
  /** The least grave priority that is wanted, 0 to 7. */
  priority: number;
}

/** The query of a log's address. */
export function logQuery({ unit, priority }: LogFilter, lines: number, follow: boolean): string {
  const query = new URLSearchParams({ priority: String(priority), lines: String(lines) });
  if (unit !== "") query.set("unit", unit);
  if (follow) query.set("follow", "true");
  return `${API}/logs?${query}`;
}

/** The newest entries, oldest first. */
export async function logs(filter: LogFilter, lines: number): Promise<LogEntry[]> {
  const response = await send("GET", logQuery(filter, lines, false), {
    headers: { Accept: "application/x-ndjson" },
  });
  const entries: LogEntry[] = [];
  for await (const line of linesOf(textOf(response))) {
    if (line !== "") entries.push(JSON.parse(line) as LogEntry);
  }
  return entries;
}

// The system

export type SystemAction = "reboot" | "power-off" | "factory-reset";

export async function system(action: SystemAction, hostname: string): Promise<void> {
  await send("POST", `${API}/system/${action}`, {
    json: { confirm: hostname },
    headers: { "Idempotency-Key": idempotencyKey() },
  });
}

/** All pages of a list, one after the other. */
async function all<P extends Page, T>(path: string, itemsOf: (page: P) => T[]): Promise<T[]> {
  const items: T[] = [];
  let after: string | null = null;
  do {
    const page: P = await get(after === null ? path : `${path}?after=${segment(after)}`);
    items.push(...itemsOf(page));
    after = page.next ?? null;
  } while (after !== null);
  return items;
}
