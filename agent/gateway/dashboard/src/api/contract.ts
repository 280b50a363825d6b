/**
 * The shapes of the management REST interface, `/api/v1`, as `agent/api` writes them. A reading that was not taken or
 * cannot be believed is `null`, never 0. Units are the kernel's where a field has a kernel's name: kHz, thousandths of a
 * degree Celsius, bytes, microseconds.
 */

/** What a token may do. Each role may do what those before it may. */
export type Role = "read" | "chat" | "admin";

/** Answer to `GET /session`: who is signed in. */
export interface Session {
  /** The token's. Names need not be unique. */
  id: string;
  name: string;
  role: Role;
  /** If nobody uses it meanwhile, RFC 3339. */
  expires: string;
}

/** A list's page; `next` goes into `?after=`. */
export interface Page {
  next?: string | null;
}

/** What could not be read or believed. */
export interface Warning {
  /** The file, from the root of the tree. */
  path: string;
  problem: string;
}

/** The part of `GET /status` that the page shows. */
export interface Status {
  hostname: string;
  version: string;
  uptime_seconds: number;
  capabilities: Capabilities | null;
  sample: Sample | null;
  /** Why the agent's part is missing. */
  agent_problem: string | null;
}

export interface Capabilities {
  dmi: { sys_vendor: string | null; product_name: string | null };
  topology: { cores: number | null; threads: number | null };
  features: { model_name: string | null };
  mem_total: number | null;
}

export interface Sample {
  warnings: Warning[];
}

/** The columns of the history beside `time`. */
export type Metric = "temperature" | "clock" | "power" | "memory_used" | "tokens_per_second";

export const METRICS: readonly Metric[] = [
  "temperature",
  "clock",
  "power",
  "memory_used",
  "tokens_per_second",
];

export type Phase = "idle" | "loading" | "prefill" | "decode";

/** Answer to `GET /samples`: rows of numbers, and of the phase's name where the column is there. */
export interface Samples {
  step_seconds: number;
  columns: string[];
  rows: (number | string | null)[][];
}

/** The event `sample`: time in Unix seconds, °C, Hz, W, bytes, tokens per second. */
export type SampleEvent = { time: number; phase?: Phase | null } & Record<Metric, number | null>;

export type EngineState = "stopped" | "loading" | "ready" | "parked";

/** Answer to `GET /engine`, and the event `engine`. */
export interface Engine {
  state: EngineState;
  phase: Phase;
  model: string | null;
  queued: number;
  active: number;
  tokens_per_second: number | null;
  quarantined: Quarantine[];
}

/** A model that is not loaded any more, because the engine failed with it again and again. */
export interface Quarantine {
  model: string;
  reason: string;
  /** RFC 3339. */
  since: string;
}

/** The event `alert`. */
export interface Alert {
  level: "info" | "warning" | "error";
  message: string;
  /** RFC 3339. */
  time: string;
}

export type JobState = "running" | "done" | "failed" | "cancelled";

/** Long work. */
export interface Job {
  id: string;
  /** `model.add`, `model.verify` … */
  kind: string;
  /** What it works on: a model's name. */
  subject: string | null;
  state: JobState;
  progress: JobProgress | null;
  result: unknown;
  problem: ProblemBody | null;
  /** RFC 3339. */
  started: string;
  ended: string | null;
}

export interface JobProgress {
  done: number;
  total: number;
  unit: string;
}

/** RFC 9457, `application/problem+json`. */
export interface ProblemBody {
  type: string;
  title: string;
  status: number;
  detail: string;
}

/** A model on the appliance's disk. */
export interface StoredModel {
  id: string;
  place: "image" | "added";
  root: string | null;
  name: string | null;
  family: string | null;
  parameters: number | null;
  kind: string | null;
  context: number | null;
  /** Bytes when decoded. */
  bytes: number;
  /** Bytes on disk. */
  stored: number;
  /** Why it cannot be read, if that is so. */
  problem: string | null;
  settings: ModelSettings;
}

/** What is set of a model; `null` leaves it to the appliance. */
export interface ModelSettings {
  /** Seconds, or a duration such as `5m`; negative: for ever; 0: not at all. */
  keep_alive: number | string | null;
  /** Whether it is never parked for want of requests. */
  pin: boolean;
  /** Tokens. */
  context: number | null;
  /** Whether it is the one that is loaded before anybody asks. */
  default: boolean;
}

/** Body of `PATCH /models/{name}`: what is left out stays. */
export type ModelChange = Partial<ModelSettings>;

/** Result of a job `model.verify`. */
export interface Verification {
  id: string;
  blocks: number;
  stored: number;
  damaged: { block: number; problem: string; tensors: string[] }[];
}

/** Answer to `DELETE /models/{name}`. */
export interface RemovedModel {
  id: string;
  freed: number;
  note: string | null;
}

/** Answer to `POST /uploads`. */
export interface UploadStart {
  id: string;
  /** How much of the same file is there already, in bytes. */
  offset: number;
}

export interface Token {
  id: string;
  name: string;
  role: Role;
  /** RFC 3339; `null` for one that was provided from outside. */
  created: string | null;
}

export type CreatedToken = Token & { secret: string };

export type RevokedToken = Token & { note: string | null };

export type PowerProfile = "power-saver" | "balanced" | "performance";

/** A profile that somebody holds for a while. */
export interface Hold {
  id: number;
  profile: PowerProfile;
  reason: string;
  holder: string;
  /** Microseconds since the machine was started. */
  until_usec: number | null;
}

/** The part of `GET /power` that the page shows. */
export interface Power {
  profile: PowerProfile;
  effective_profile: PowerProfile;
  performance_degraded: string;
  holds: Hold[];
  firmware_profile: string;
  policies: Policy[];
  boost: boolean | null;
  on_battery: boolean | null;
  package_watts: number | null;
  foreign_writers: Warning[];
}

export interface Policy {
  id: number;
  cpuinfo_min_freq: number | null;
  cpuinfo_max_freq: number | null;
  scaling_cur_freq: number | null;
  scaling_max_freq: number | null;
  scaling_governor: string | null;
}

export type Rung = "free" | "clock_cap" | "cpu_quota" | "fewer_slots" | "engine_stopped" | "power_off";

/** The part of `GET /thermal` that the page shows. */
export interface Thermal {
  target: number;
  target_set: number | null;
  target_default: number;
  assumed: number | null;
  critical: number | null;
  rung: Rung;
  clock_cap: number | null;
  sensors: Sensor[];
  cooling: Cooling[];
  warnings: Warning[];
}

export interface Sensor {
  name: string;
  temp: number | null;
  /** Why it is not believed. */
  distrust: "missing" | "absurd" | "frozen" | "contradicted" | null;
  counts: boolean;
}

export interface Cooling {
  name: string;
  cur_state: number | null;
  max_state: number | null;
  rpm: number | null;
}

/** The part of `GET /memory` that the page shows. */
export interface MemoryUse {
  used: number | null;
  parts: Record<MemoryPart, number> | null;
  goal: { aim: number; limit: number };
  meminfo: { mem_total: number | null; mem_available: number | null };
  cgroups: { path: string; current: number | null; swap_current: number | null }[];
  warnings: Warning[];
}

export type MemoryPart =
  | "anon"
  | "shmem"
  | "slab"
  | "threads"
  | "tables"
  | "zram"
  | "reserve"
  | "withheld"
  | "rest";

/** Answer to `GET /network`. */
export interface Network {
  hostname: string;
  ipv4: Ipv4;
  wifi: { ssid: string } | null;
  interfaces: NetworkInterface[];
  /** Why there are none; `null` where they are told of. */
  interfaces_problem: string | null;
  /** A change comes back by itself then, unless it is confirmed; RFC 3339. */
  confirm_by: string | null;
}

export type Ipv4 = { method: "dhcp" } | ({ method: "static" } & StaticAddress);

export interface StaticAddress {
  /** With the prefix's length: `192.168.1.20/24`. */
  address: string;
  gateway: string | null;
  dns: string[];
}

export interface NetworkInterface {
  name: string;
  kind: "ethernet" | "wifi" | "other";
  mac: string | null;
  carrier: boolean | null;
  addresses: string[];
}

/** Body of `PUT /network`. A Wi-Fi password that is left out stays what it is. */
export interface NetworkChange {
  hostname: string;
  ipv4: Ipv4;
  wifi: { ssid: string; password?: string } | null;
}

/** Answer to `GET /time`. */
export interface Clock {
  /** RFC 3339. */
  time: string;
  timezone: string;
  ntp: boolean;
  synchronised: boolean | null;
}

export interface LogEntry {
  /** RFC 3339. */
  time: string;
  unit: string | null;
  /** syslog's: 0 is the gravest, 7 is for debugging. */
  priority: number;
  message: string;
}

/** Answer to `GET /tls`. */
export interface Tls {
  /** `local`: signed by the appliance's own authority. `own`: the owner has installed it. */
  source: "local" | "own";
  certificate: Certificate;
  authority: Certificate;
  /** Why the owner's own certificate is not served though there is one. */
  own_problem: string | null;
  /** Whether requests with a token are answered on port 80, unencrypted. */
  plain_http: boolean;
}

export interface Certificate {
  sha256: string;
  names: string[];
  /** RFC 3339. */
  not_after: string;
}
