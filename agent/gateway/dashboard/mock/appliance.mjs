// The made-up appliance as a whole: its parts, its routes, and what it tells by itself.
import { EngineMock } from "./engine.mjs";
import { conflict, invalid, notFound, Refusal, unacceptable } from "./exchange.mjs";
import { JournalMock } from "./journal.mjs";
import { CAPABILITIES, memoryOf, pastOf, Readings, stepFor, thermalOf } from "./machine.mjs";
import { ModelsMock } from "./models.mjs";
import { Sessions } from "./sessions.mjs";
import { TlsMock } from "./tls.mjs";

/** @typedef {import("./exchange.mjs").Exchange} Exchange */
/** @typedef {import("../src/api/contract").SampleEvent} Row */
/** @typedef {import("../src/api/contract").Hold} Hold */
/** @typedef {import("../src/api/contract").Network} Network */
/** @typedef {import("../src/api/contract").Role} Role */
/** @typedef {(exchange: Exchange) => void | Promise<void>} Handler */

const COLUMNS = /** @type {const} */ ([
  "time",
  "temperature",
  "clock",
  "power",
  "memory_used",
  "tokens_per_second",
  "phase",
]);
const CONFIRM_MS = 120_000;
const KEEP_ALIVE_MS = 15_000;
const MOST_ROWS = 600;

/** Tokens that are there from the beginning; their texts are no secret. */
export const TOKENS = { admin: "hearth_admin", chat: "hearth_chat", read: "hearth_read" };

export class Appliance {
  hostname = "hearth";
  sessions = new Sessions([
    {
      secret: TOKENS.admin,
      token: { id: "a1", name: "laptop", role: "admin", created: "2026-10-03T09:12:44Z" },
    },
    {
      secret: TOKENS.chat,
      token: { id: "c1", name: "editor", role: "chat", created: "2026-11-02T18:40:00Z" },
    },
    { secret: TOKENS.read, token: { id: "r1", name: "grafana", role: "read", created: null } },
    {
      secret: "hearth_long",
      token: {
        id: "l1",
        name: "the-continuous-integration-of-a-project-with-a-very-long-name-64c",
        role: "chat",
        created: "2026-11-20T07:00:00Z",
      },
    },
  ]);
  journal = new JournalMock();
  tls = new TlsMock();
  models = new ModelsMock(firstModels(), (event, data) => this.tell(event, data));
  engine = new EngineMock(
    () => this.models.list,
    () => this.tell("engine", this.engine.state),
  );
  /** What was done to the system, newest last. @type {string[]} */
  done = [];

  #readings = new Readings();
  #started = Date.now() - 273_000_000;
  /** @type {Row[]} */
  #rows = pastOf(now(), MOST_ROWS);
  /** @type {import("../src/api/contract").PowerProfile} */
  #profile = "balanced";
  /** @type {Hold[]} */
  #holds = [];
  /** @type {number | null} */
  #target = null;
  #clock = { timezone: "Europe/Berlin", ntp: true };
  /** @type {Network} */
  #network = {
    hostname: this.hostname,
    ipv4: { method: "dhcp" },
    wifi: null,
    interfaces: [
      {
        name: "enp1s0",
        kind: "ethernet",
        mac: "84:47:09:1a:2b:3c",
        carrier: true,
        addresses: ["192.168.1.20/24", "fe80::8647:9ff:fe1a:2b3c/64"],
      },
      { name: "wlp2s0", kind: "wifi", mac: "84:47:09:1a:2b:3d", carrier: false, addresses: [] },
    ],
    interfaces_problem: null,
    confirm_by: null,
  };
  /** @type {{ before: Network, timer: ReturnType<typeof setTimeout> } | null} */
  #trial = null;
  #networkVersion = 1;
  /** @type {Set<(event: string, data: string) => void>} */
  #listeners = new Set();
  /** @type {ReturnType<typeof setInterval>[]} */
  #timers = [];

  constructor() {
    this.engine.state.quarantined.push({
      model: "broken-7b-instruct",
      reason: "the engine ended five times within ten minutes while it was loaded (SIGSEGV)",
      since: "2026-11-21T21:03:00Z",
    });
  }

  start() {
    this.#timers = [setInterval(() => this.#tick(), 1_000), setInterval(() => this.journal.tick(), 1_700)];
  }

  stop() {
    for (const timer of this.#timers) clearInterval(timer);
    if (this.#trial !== null) clearTimeout(this.#trial.timer);
  }

  #tick() {
    const row = this.#readings.next(now(), this.engine.state.phase, this.engine.held);
    this.#rows = [...this.#rows.slice(1 - MOST_ROWS), row];
    this.tell("sample", row);
    if (this.engine.state.phase !== "idle") this.tell("engine", this.engine.state);
  }

  /** How many pages listen to the events. */
  get audience() {
    return this.#listeners.size;
  }

  /** Tells everybody who listens. @param {string} event @param {unknown} data */
  tell(event, data) {
    for (const listener of this.#listeners) listener(event, JSON.stringify(data));
  }

  /** The routes: method, path, who may, and what is done. @returns {[string, RegExp, Role, Handler][]} */
  routes() {
    const { sessions, models, engine, journal, tls } = this;
    const at = (/** @type {string} */ path) => new RegExp(`^/api/v1${path.replaceAll("*", "([^/]+)")}$`);
    return [
      ["GET", at("/session"), "read", (exchange) => sessions.tell(exchange)],
      ["DELETE", at("/session"), "read", (exchange) => sessions.signOut(exchange)],
      ["GET", at("/status"), "read", (exchange) => exchange.answer(200, this.#status())],
      ["GET", at("/power"), "read", (exchange) => exchange.answer(200, this.#power())],
      ["PUT", at("/power"), "admin", (exchange) => this.#setProfile(exchange)],
      ["POST", at("/power/holds"), "admin", (exchange) => this.#hold(exchange)],
      ["DELETE", at("/power/holds/*"), "admin", (exchange) => this.#release(exchange)],
      ["GET", at("/thermal"), "read", (exchange) => exchange.answer(200, this.#thermal())],
      ["PUT", at("/thermal"), "admin", (exchange) => this.#setTarget(exchange)],
      [
        "GET",
        at("/memory"),
        "read",
        (exchange) => exchange.answer(200, memoryOf(this.#newest().memory_used ?? 0)),
      ],
      ["GET", at("/samples"), "read", (exchange) => this.#samples(exchange)],
      ["GET", at("/events"), "read", (exchange) => this.#events(exchange)],
      ["GET", at("/engine"), "read", (exchange) => exchange.answer(200, engine.state)],
      ["POST", at("/engine/load"), "chat", (exchange) => this.#load(exchange)],
      ["POST", at("/engine/unload"), "chat", (exchange) => this.#unload(exchange)],
      ["GET", at("/models"), "read", (exchange) => exchange.page(models.list, "models")],
      ["PATCH", at("/models/*"), "admin", (exchange) => models.change(exchange)],
      ["DELETE", at("/models/*"), "admin", (exchange) => models.remove(exchange)],
      ["POST", at("/models/*/verify"), "admin", (exchange) => models.verify(exchange)],
      ["DELETE", at("/models/*/quarantine"), "admin", (exchange) => this.#releaseModel(exchange)],
      ["GET", at("/jobs"), "read", (exchange) => exchange.page(models.jobs, "jobs")],
      ["DELETE", at("/jobs/*"), "admin", (exchange) => models.cancel(exchange)],
      ["POST", at("/uploads"), "admin", (exchange) => models.startUpload(exchange)],
      ["PATCH", at("/uploads/*"), "admin", (exchange) => models.takeChunk(exchange)],
      ["HEAD", at("/uploads/*"), "admin", (exchange) => models.tellUpload(exchange)],
      ["DELETE", at("/uploads/*"), "admin", (exchange) => models.cancelUpload(exchange)],
      ["GET", at("/tokens"), "admin", (exchange) => sessions.list(exchange)],
      ["POST", at("/tokens"), "admin", (exchange) => sessions.create(exchange)],
      ["DELETE", at("/tokens/*"), "admin", (exchange) => sessions.revoke(exchange)],
      [
        "GET",
        at("/network"),
        "admin",
        (exchange) => exchange.answer(200, this.#network, { ETag: this.#etag() }),
      ],
      ["PUT", at("/network"), "admin", (exchange) => this.#setNetwork(exchange)],
      ["POST", at("/network/confirm"), "admin", (exchange) => this.#confirmNetwork(exchange)],
      ["GET", at("/time"), "admin", (exchange) => exchange.answer(200, this.#time())],
      ["PUT", at("/time"), "admin", (exchange) => this.#setTime(exchange)],
      ["GET", at("/logs"), "admin", (exchange) => journal.tell(exchange)],
      ["GET", at("/tls"), "read", (exchange) => tls.tell(exchange)],
      ["PUT", at("/tls/certificate"), "admin", (exchange) => tls.install(exchange)],
      ["DELETE", at("/tls/certificate"), "admin", (exchange) => tls.remove(exchange)],
      ["PUT", at("/tls/plain-http"), "admin", (exchange) => tls.setPlainHttp(exchange)],
      ["POST", at("/system/(reboot|power-off|factory-reset)"), "admin", (exchange) => this.#system(exchange)],
      ["GET", /^\/v1\/models$/, "chat", (exchange) => this.#chatModels(exchange)],
      ["POST", /^\/v1\/chat\/completions$/, "chat", (exchange) => engine.chat(exchange)],
    ];
  }

  /** @returns {Row} */
  #newest() {
    const row = this.#rows.at(-1);
    if (row === undefined) throw new Error("there is always a row");
    return row;
  }

  /** @returns {import("../src/api/contract").Status} */
  #status() {
    return {
      hostname: this.hostname,
      version: "0.6.0",
      uptime_seconds: (Date.now() - this.#started) / 1000,
      capabilities: CAPABILITIES,
      sample: { warnings: this.#thermal().warnings },
      agent_problem: null,
    };
  }

  #thermal() {
    return thermalOf(this.#newest().temperature ?? 0, this.#target);
  }

  /** @returns {import("../src/api/contract").Power} */
  #power() {
    const { clock, power } = this.#newest();
    const kiloHertz = clock === null ? null : Math.round(clock / 1000);
    const policy = { cpuinfo_min_freq: 700_000, cpuinfo_max_freq: 3_600_000, scaling_governor: "powersave" };
    return {
      profile: this.#profile,
      effective_profile: this.#holds[0]?.profile ?? this.#profile,
      performance_degraded: "",
      holds: this.#holds,
      firmware_profile: "gmktec/nucbox-g3-plus",
      policies: [0, 1].map((id) => ({
        id,
        ...policy,
        scaling_cur_freq: kiloHertz,
        scaling_max_freq: 3_600_000,
      })),
      boost: true,
      on_battery: null,
      package_watts: power,
      foreign_writers: [],
    };
  }

  /** @param {Exchange} exchange */
  async #setProfile(exchange) {
    const { profile } = await exchange.json();
    if (!["power-saver", "balanced", "performance"].includes(profile))
      throw unacceptable("there is no such profile");
    this.#profile = profile;
    exchange.answer(200, this.#power());
  }

  /** @param {Exchange} exchange */
  async #hold(exchange) {
    const { profile, reason, seconds } = await exchange.json();
    const until = seconds === null ? null : Date.now() - this.#started + seconds * 1000;
    const id = (this.#holds.at(-1)?.id ?? 0) + 1;
    const until_usec = until === null ? null : until * 1000;
    this.#holds = [
      ...this.#holds,
      { id, profile, reason, holder: exchange.signed?.token.name ?? "", until_usec },
    ];
    exchange.answer(201, { id });
  }

  /** @param {Exchange} exchange */
  #release(exchange) {
    this.#holds = this.#holds.filter(({ id }) => String(id) !== exchange.parts[0]);
    exchange.answer(204);
  }

  /** @param {Exchange} exchange */
  async #setTarget(exchange) {
    const { target } = await exchange.json();
    if (target !== null && (target < 40_000 || target > 95_000)) {
      throw unacceptable("a target lies between 40 °C and 95 °C on this machine");
    }
    this.#target = target;
    exchange.answer(200, this.#thermal());
  }

  /** @param {Exchange} exchange */
  #samples(exchange) {
    const seconds = Number(exchange.url.searchParams.get("seconds") ?? 600);
    const step = stepFor(seconds);
    const rows = step === 1 ? this.#rows : pastOf(Math.floor(now() / step) * step, seconds);
    exchange.answer(200, {
      step_seconds: step,
      columns: COLUMNS,
      rows: rows.map((row) => COLUMNS.map((column) => row[column] ?? null)),
    });
  }

  /** @param {Exchange} exchange */
  #events(exchange) {
    const send = exchange.events();
    this.#listeners.add(send);
    const keepAlive = setInterval(() => exchange.response.write(": keep-alive\n\n"), KEEP_ALIVE_MS);
    exchange.whenGone(() => {
      clearInterval(keepAlive);
      this.#listeners.delete(send);
    });
  }

  /** @param {Exchange} exchange */
  async #load(exchange) {
    const { model } = await exchange.json();
    this.models.find(model);
    void this.engine.load(model);
    exchange.answer(202, {});
  }

  /** @param {Exchange} exchange */
  #unload(exchange) {
    this.engine.unload();
    exchange.answer(202, {});
  }

  /** @param {Exchange} exchange */
  #releaseModel(exchange) {
    const model = this.models.find(exchange.parts[0]);
    const quarantined = this.engine.state.quarantined.filter((entry) => entry.model !== model.id);
    if (quarantined.length === this.engine.state.quarantined.length)
      throw conflict("it is not in quarantine");
    this.engine.become({ quarantined });
    exchange.answer(200, { unit: null, failures: [], quarantined, fallback: null });
  }

  /** @param {Exchange} exchange */
  #chatModels(exchange) {
    const data = this.models.list
      .filter(({ problem }) => problem === null)
      .map(({ id }) => ({ id, object: "model", created: 0, owned_by: "hearth" }));
    exchange.answer(200, { object: "list", data });
  }

  #etag() {
    return `"${this.#networkVersion}"`;
  }

  /** @param {Exchange} exchange */
  async #setNetwork(exchange) {
    if (exchange.header("if-match") !== this.#etag()) {
      throw new Refusal(412, "Changed meanwhile", "somebody else has changed the network; read it again");
    }
    const { hostname, ipv4, wifi } = await exchange.json();
    if (typeof hostname !== "string" || hostname === "") throw invalid("a host name is wanted");
    const before = this.#trial?.before ?? this.#network;
    if (this.#trial !== null) clearTimeout(this.#trial.timer);
    const confirm_by = new Date(Date.now() + CONFIRM_MS).toISOString();
    const timer = setTimeout(() => this.#takeBack(), CONFIRM_MS);
    this.#trial = { before, timer };
    this.#networkVersion += 1;
    this.#network = { ...this.#network, hostname, ipv4, wifi: wifi && { ssid: wifi.ssid }, confirm_by };
    this.hostname = hostname;
    exchange.answer(202, { confirm_by });
  }

  #takeBack() {
    if (this.#trial === null) return;
    this.#network = this.#trial.before;
    this.hostname = this.#network.hostname;
    this.#networkVersion += 1;
    this.#trial = null;
  }

  /** @param {Exchange} exchange */
  #confirmNetwork(exchange) {
    const wanted = exchange.header("if-match");
    if (wanted !== undefined && wanted !== this.#etag()) {
      throw new Refusal(412, "Changed meanwhile", "somebody else has changed the network; read it again");
    }
    if (this.#trial === null) throw conflict("no change is on trial");
    clearTimeout(this.#trial.timer);
    this.#trial = null;
    this.#networkVersion += 1;
    this.#network = { ...this.#network, confirm_by: null };
    exchange.answer(204);
  }

  /** @returns {import("../src/api/contract").Clock} */
  #time() {
    return { time: new Date().toISOString(), ...this.#clock, synchronised: this.#clock.ntp };
  }

  /** @param {Exchange} exchange */
  async #setTime(exchange) {
    const { timezone, ntp } = await exchange.json();
    this.#clock = { timezone, ntp };
    exchange.answer(200, this.#time());
  }

  /** @param {Exchange} exchange */
  async #system(exchange) {
    const { confirm } = await exchange.json();
    if (confirm !== this.hostname)
      throw unacceptable(`the confirmation is the host's name, ${this.hostname}`);
    if (exchange.header("idempotency-key") === undefined)
      throw invalid("the header Idempotency-Key is missing");
    const action = exchange.parts[0];
    if (action === undefined) throw notFound("there is no such action");
    this.done.push(action);
    exchange.answer(202, {});
  }
}

const now = () => Math.floor(Date.now() / 1000);

/** @returns {import("../src/api/contract").StoredModel[]} */
function firstModels() {
  const settings = { keep_alive: null, pin: false, context: null, default: false };
  return [
    {
      id: "smollm2-135m-instruct",
      place: "image",
      root: "5b".repeat(32),
      name: "SmolLM2 135M Instruct",
      family: "llama",
      parameters: 134_515_008,
      kind: "Q4_1",
      context: 8192,
      bytes: 98_362_432,
      stored: 98_362_432,
      problem: null,
      settings: { ...settings, default: true },
    },
    {
      id: "qwen2.5-coder-1.5b-instruct",
      place: "added",
      root: "a7".repeat(32),
      name: "Qwen2.5 Coder 1.5B Instruct",
      family: "qwen2",
      parameters: 1_543_714_304,
      kind: "Q4_K",
      context: 32_768,
      bytes: 1_117_320_768,
      stored: 1_109_001_216,
      problem: null,
      settings: { keep_alive: "30m", pin: true, context: 16_384, default: false },
    },
    {
      id: "broken-7b-instruct",
      place: "added",
      root: "0c".repeat(32),
      name: null,
      family: "qwen3",
      parameters: 7_615_616_512,
      kind: "Q4_K",
      context: 131_072,
      bytes: 4_683_073_952,
      stored: 4_683_073_952,
      problem: null,
      settings: { ...settings },
    },
    {
      id: "a-damaged-model-with-a-name-that-somebody-has-made-much-longer-than-it-needs-to-be",
      place: "added",
      root: null,
      name: null,
      family: null,
      parameters: null,
      kind: null,
      context: null,
      bytes: 0,
      stored: 0,
      problem:
        "manifest.json, offset 4096: the hash of the block table differs; remove the model and add it again",
      settings: { ...settings },
    },
  ];
}
