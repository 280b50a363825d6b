// A made-up engine: it wakes, reads, writes and rests.
import { conflict, notFound, Refusal } from "./exchange.mjs";

/** @typedef {import("../src/api/contract").Engine} Engine */
/** @typedef {import("../src/api/contract").StoredModel} StoredModel */

const LOADING_MS = 900;
const PREFILL_MS = 500;
const TOKEN_MS = 45;
const PARKED_AFTER_MS = 45_000;

export class EngineMock {
  /** @type {Engine} */
  state = {
    state: "stopped",
    phase: "idle",
    model: null,
    queued: 0,
    active: 0,
    tokens_per_second: null,
    quarantined: [],
  };
  #onChange;
  #models;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #resting;

  /**
   * @param {() => StoredModel[]} models
   * @param {() => void} onChange
   */
  constructor(models, onChange) {
    this.#models = models;
    this.#onChange = onChange;
  }

  /** @param {Partial<Engine>} change */
  become(change) {
    this.state = { ...this.state, ...change };
    this.#onChange();
  }

  /** Bytes that the loaded model takes. */
  get held() {
    return this.state.state === "ready"
      ? (this.#models().find(({ id }) => id === this.state.model)?.stored ?? 0)
      : 0;
  }

  /** Loads a model unless it is there. @param {string} model */
  async load(model) {
    const stored = this.#models().find(({ id }) => id === model);
    if (stored === undefined) throw notFound(`there is no model ${JSON.stringify(model)}`);
    if (this.state.quarantined.some((entry) => entry.model === model)) {
      throw conflict(`${model} is in quarantine; an administrator can release it`);
    }
    clearTimeout(this.#resting);
    if (this.state.state === "ready" && this.state.model === model) return;
    this.become({ state: "loading", phase: "loading", model });
    await wait(LOADING_MS);
    this.become({ state: "ready", phase: "idle" });
    this.#rest();
  }

  unload() {
    clearTimeout(this.#resting);
    this.become({ state: "stopped", phase: "idle", model: null, tokens_per_second: null });
  }

  #rest() {
    clearTimeout(this.#resting);
    this.#resting = setTimeout(() => this.become({ state: "parked" }), PARKED_AFTER_MS);
    this.#resting.unref();
  }

  /**
   * Answers a chat request.
   * @param {import("./exchange.mjs").Exchange} exchange
   */
  async chat(exchange) {
    const { model, messages, stream } = await exchange.json();
    const question = String(messages?.at(-1)?.content ?? "");
    if (this.state.quarantined.some((entry) => entry.model === model)) {
      return refuse(exchange, 503, "model_quarantined", `${model} is in quarantine; see "hearth status"`);
    }
    if (/\bbusy\b/.test(question)) {
      return refuse(exchange, 503, "overloaded", "all places in the queue are taken", { "Retry-After": "7" });
    }
    try {
      await this.load(model);
    } catch (error) {
      if (error instanceof Refusal) return refuse(exchange, 404, "model_not_found", error.message);
      throw error;
    }
    clearTimeout(this.#resting);
    this.become({ phase: "prefill", active: this.state.active + 1 });
    await wait(PREFILL_MS);
    if (stream === true) await this.#stream(exchange, model, question, messages.length);
    this.become({ phase: "idle", active: this.state.active - 1, tokens_per_second: null });
    this.#rest();
  }

  /**
   * @param {import("./exchange.mjs").Exchange} exchange
   * @param {string} model
   * @param {string} question
   * @param {number} turns
   */
  async #stream(exchange, model, question, turns) {
    const send = exchange.events();
    const head = {
      id: "chatcmpl-mock",
      object: "chat.completion.chunk",
      created: Math.floor(Date.now() / 1000),
      model,
    };
    const chunk = (/** @type {object} */ more) => send(null, JSON.stringify({ ...head, ...more }));
    const choice = (/** @type {object} */ delta, /** @type {string | null} */ finish_reason = null) =>
      chunk({ choices: [{ index: 0, delta, finish_reason }] });
    choice({ role: "assistant", content: "" });
    this.become({ phase: "decode", tokens_per_second: 1000 / TOKEN_MS });
    const pieces = piecesOf(answerTo(question, turns));
    for (const [index, piece] of pieces.entries()) {
      await wait(TOKEN_MS);
      if (exchange.isGone) return;
      choice({ content: piece });
      if (/\bfail\b/.test(question) && index === 8) {
        const error = { message: "the engine ended", type: "server_error", param: null, code: "engine_lost" };
        send(null, JSON.stringify({ error }));
        exchange.response.end();
        return;
      }
    }
    choice({}, "stop");
    const usage = { prompt_tokens: 20 + question.length, completion_tokens: pieces.length, total_tokens: 0 };
    chunk({ choices: [], usage: { ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens } });
    send(null, "[DONE]");
    exchange.response.end();
  }
}

/**
 * @param {import("./exchange.mjs").Exchange} exchange
 * @param {number} status
 * @param {string} code
 * @param {string} message
 * @param {Record<string, string>} [headers]
 */
function refuse(exchange, status, code, message, headers) {
  exchange.answer(status, { error: { message, type: "server_error", param: null, code } }, headers);
}

/** @param {string} question @param {number} turns */
function answerTo(question, turns) {
  if (/\blong\b/.test(question)) return "A hearth is where the fire is. ".repeat(400);
  if (/\bcode\b/.test(question)) return CODE;
  return `You asked: *${question.replaceAll("*", "\\*").slice(0, 80)}* (turn ${turns}).

A **hearth** is the floor of a fireplace. It is

1. warm,
2. quiet, and
3. at home.

Nothing of this left the machine: <b>not even this markup</b>.`;
}

const CODE = `Here is a function in Rust:

\`\`\`rust
/// The sum of all numbers, and a line that is much too long for any telephone: it has to scroll by itself.
fn sum(numbers: &[u64]) -> u64 {
    numbers.iter().sum()
}
\`\`\`

| call | value |
|:-----|------:|
| \`sum(&[])\` | 0 |
| \`sum(&[1, 2])\` | 3 |

See <https://doc.rust-lang.org>, or [the book](https://doc.rust-lang.org/book/). A [bad link](javascript:alert(1)) stays text.`;

/** @param {string} text */
const piecesOf = (text) => text.match(/\s*\S{1,6}/g) ?? [];

/** @param {number} milliseconds @returns {Promise<void>} */
export function wait(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
