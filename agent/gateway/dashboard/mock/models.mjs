// Models on a made-up disk, uploads, and the long work on both.
import { randomBytes } from "node:crypto";
import { wait } from "./engine.mjs";
import { conflict, invalid, notFound, Refusal, unacceptable } from "./exchange.mjs";

/** @typedef {import("../src/api/contract").StoredModel} StoredModel */
/** @typedef {import("../src/api/contract").Job} Job */
/** @typedef {import("./exchange.mjs").Exchange} Exchange */
/** @typedef {{ id: string, name: string, file: string, size: number, identity: unknown, offset: number, head: Buffer, job: string | null }} Kept */

const ROOM = 64e9;
const JOB_STEPS = 12;
const JOB_STEP_MS = 150;
const LARGEST_CHUNK = 8 << 20;

export class ModelsMock {
  /** @type {StoredModel[]} */
  list;
  /** @type {Job[]} */
  jobs = [];
  /** @type {Map<string, Kept>} */
  #uploads = new Map();
  #tell;

  /**
   * @param {StoredModel[]} list
   * @param {(event: "job" | "models", data: unknown) => void} tell
   */
  constructor(list, tell) {
    this.list = list;
    this.#tell = tell;
  }

  /** @param {string | undefined} name */
  find(name) {
    const model = this.list.find(({ id }) => id === name);
    if (model === undefined) throw notFound(`there is no model ${JSON.stringify(name)}`);
    return model;
  }

  /** @param {Exchange} exchange */
  async change(exchange) {
    const model = this.find(exchange.parts[0]);
    const change = await exchange.json();
    if (change.context !== undefined && change.context !== null && change.context < 16) {
      throw unacceptable("a context has at least 16 tokens");
    }
    if (change.default === true) for (const other of this.list) other.settings.default = false;
    model.settings = { ...model.settings, ...change };
    this.#tell("models", {});
    exchange.answer(200, model);
  }

  /** @param {Exchange} exchange */
  remove(exchange) {
    const model = this.find(exchange.parts[0]);
    if (model.place === "image") throw conflict("this model is part of the image and cannot be removed");
    this.list = this.list.filter((other) => other !== model);
    this.#tell("models", {});
    exchange.answer(200, { id: model.id, freed: model.stored, note: null });
  }

  /** @param {Exchange} exchange */
  verify(exchange) {
    const model = this.find(exchange.parts[0]);
    const blocks = Math.max(Math.ceil(model.stored / (4 << 20)), 1);
    const damaged = model.id.includes("damaged")
      ? [
          {
            block: 17,
            problem: "the hash differs",
            tensors: ["blk.3.ffn_down.weight", "blk.3.ffn_up.weight"],
          },
        ]
      : [];
    const result = { id: model.id, root: model.root, blocks, stored: model.stored, damaged };
    const job = this.#begin("model.verify", model.id, model.stored, async () => result);
    exchange.answer(202, job, { Location: `/api/v1/jobs/${job.id}` });
  }

  /** @param {Exchange} exchange */
  cancel(exchange) {
    const job = this.jobs.find(({ id }) => id === exchange.parts[0]);
    if (job === undefined) throw notFound("there is no such job");
    if (job.state !== "running") throw conflict(`the job is ${job.state} already`);
    this.#end(job, { state: "cancelled" });
    exchange.answer(200, job);
  }

  /** @param {Exchange} exchange */
  async startUpload(exchange) {
    const { name, file, size, identity } = await exchange.json();
    if (typeof name !== "string" || typeof file !== "string" || !Number.isSafeInteger(size) || size < 1) {
      throw invalid('wanted is {"name": "…", "file": "…", "size": bytes}');
    }
    if (this.list.some(({ id }) => id === name))
      throw conflict(`there is a model ${JSON.stringify(name)} already`);
    if (size > ROOM)
      throw new Refusal(507, "Not enough room", `${size - ROOM} bytes are missing on the disk`);
    const begun = [...this.#uploads.values()].find(
      (upload) =>
        upload.job === null &&
        identity !== undefined &&
        upload.name === name &&
        upload.file === file &&
        upload.size === size &&
        upload.identity === identity,
    );
    const empty = { offset: 0, head: Buffer.alloc(0), job: null };
    const upload = begun ?? { id: newId(), name, file, size, identity, ...empty };
    this.#uploads.set(upload.id, upload);
    const { id, offset } = upload;
    exchange.answer(begun === undefined ? 201 : 200, { id, offset }, { Location: `/api/v1/uploads/${id}` });
  }

  /** @param {Exchange} exchange */
  tellUpload(exchange) {
    const upload = this.#upload(exchange);
    exchange.answer(204, undefined, placeOf(upload));
  }

  /** @param {Exchange} exchange */
  cancelUpload(exchange) {
    this.#uploads.delete(this.#upload(exchange).id);
    exchange.answer(204);
  }

  /** @param {Exchange} exchange */
  async takeChunk(exchange) {
    const upload = this.#upload(exchange);
    const offset = Number(exchange.header("upload-offset"));
    if (upload.job !== null) throw conflict("the last part has come already");
    if (offset !== upload.offset) throw conflict(`the upload is at ${upload.offset}`);
    const chunk = await exchange.body();
    if (chunk.length > LARGEST_CHUNK)
      throw new Refusal(413, "Request body too large", "at most 8 MiB at once");
    await wait(120); // A disk and a network are not endlessly fast.
    upload.offset += chunk.length;
    if (upload.head.length < 4) upload.head = Buffer.concat([upload.head, chunk.subarray(0, 4)]);
    if (upload.offset >= upload.size) upload.job = this.#add(upload).id;
    exchange.answer(204, undefined, placeOf(upload));
  }

  /** @param {Exchange} exchange @returns {Kept} */
  #upload(exchange) {
    const upload = this.#uploads.get(exchange.parts[0] ?? "");
    if (upload === undefined) throw notFound("there is no such upload; begin it anew");
    return upload;
  }

  /** @param {Kept} upload */
  #add(upload) {
    return this.#begin("model.add", upload.name, upload.size, async () => {
      if (upload.head.subarray(0, 4).toString("latin1") !== "GGUF") {
        throw new Refusal(
          422,
          "Value not acceptable",
          `${upload.file}: at offset 0: this is no GGUF file: it begins with ${JSON.stringify(upload.head.toString("latin1").slice(0, 4))}`,
        );
      }
      const model = added(upload);
      this.list = [...this.list, model];
      this.#tell("models", {});
      return model;
    });
  }

  /**
   * @param {string} kind
   * @param {string} subject
   * @param {number} total
   * @param {() => Promise<unknown>} finish
   * @returns {Job}
   */
  #begin(kind, subject, total, finish) {
    /** @type {Job} */
    const job = {
      id: newId(),
      kind,
      subject,
      state: "running",
      progress: { done: 0, total, unit: "bytes" },
      result: null,
      problem: null,
      started: new Date().toISOString(),
      ended: null,
    };
    this.jobs = [...this.jobs, job];
    void this.#carryOut(job, finish);
    return job;
  }

  /** @param {Job} job @param {() => Promise<unknown>} finish */
  async #carryOut(job, finish) {
    const total = job.progress?.total ?? 0;
    for (let step = 1; step <= JOB_STEPS; step += 1) {
      await wait(JOB_STEP_MS);
      if (job.state !== "running") return;
      job.progress = { done: Math.round((total * step) / JOB_STEPS), total, unit: "bytes" };
      this.#tell("job", job);
    }
    try {
      this.#end(job, { state: "done", result: await finish() });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      this.#end(job, { state: "failed", problem: error.body });
    }
  }

  /** @param {Job} job @param {Partial<Job>} change */
  #end(job, change) {
    Object.assign(job, change, { ended: new Date().toISOString() });
    this.#tell("job", job);
  }
}

/** How far an upload is, and which job it has become. @param {Kept} upload @returns {Record<string, string>} */
const placeOf = ({ offset, job }) => ({
  "Upload-Offset": String(offset),
  ...(job === null ? {} : { Location: `/api/v1/jobs/${job}` }),
});

const newId = () => randomBytes(6).toString("hex");

/** @param {Kept} upload @returns {StoredModel} */
function added({ name, size }) {
  return {
    id: name,
    place: "added",
    root: randomBytes(32).toString("hex"),
    name: null,
    family: "llama",
    parameters: Math.round(size * 1.7),
    kind: "Q4_K",
    context: 8192,
    bytes: size,
    stored: size,
    problem: null,
    settings: { keep_alive: null, pin: false, context: null, default: false },
  };
}
