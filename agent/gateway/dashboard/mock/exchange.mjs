// One request and its answer, as the gateway would have them.

/** @typedef {import("../src/api/contract").ProblemBody} ProblemBody */

const LARGEST_BODY = 9 << 20;

/** A refusal, told as RFC 9457 has it. */
export class Refusal extends Error {
  /**
   * @param {number} status
   * @param {string} title
   * @param {string} detail
   * @param {Record<string, string>} [headers]
   */
  constructor(status, title, detail, headers = {}) {
    super(detail);
    this.status = status;
    this.title = title;
    this.headers = headers;
  }

  /** @returns {ProblemBody} */
  get body() {
    const type = `/problems/${this.title.toLowerCase().replaceAll(" ", "-")}`;
    return { type, title: this.title, status: this.status, detail: this.message };
  }
}

export const invalid = (/** @type {string} */ detail) => new Refusal(400, "Invalid request", detail);
export const notFound = (/** @type {string} */ detail) => new Refusal(404, "Not found", detail);
export const conflict = (/** @type {string} */ detail) => new Refusal(409, "Not possible now", detail);
export const unacceptable = (/** @type {string} */ detail) =>
  new Refusal(422, "Value not acceptable", detail);

export class Exchange {
  /**
   * @param {import("node:http").IncomingMessage} request
   * @param {import("node:http").ServerResponse} response
   */
  constructor(request, response) {
    this.request = request;
    this.response = response;
    this.url = new URL(request.url ?? "/", "http://mock");
    /** The parts of the path that the route leaves open. @type {string[]} */
    this.parts = [];
    /** @type {import("./sessions.mjs").Signed | null} */
    this.signed = null;
  }

  /** @param {string} name */
  header(name) {
    const value = this.request.headers[name.toLowerCase()];
    return Array.isArray(value) ? value[0] : value;
  }

  /** @param {string} name */
  cookie(name) {
    const pairs = (this.header("cookie") ?? "").split("; ").map((pair) => pair.split("="));
    return pairs.find(([key]) => key === name)?.[1];
  }

  async body() {
    /** @type {Buffer[]} */
    const pieces = [];
    let length = 0;
    for await (const piece of this.request) {
      length += piece.length;
      if (length > LARGEST_BODY)
        throw new Refusal(413, "Request body too large", `at most ${LARGEST_BODY} bytes`);
      pieces.push(piece);
    }
    return Buffer.concat(pieces);
  }

  /** @returns {Promise<any>} */
  async json() {
    try {
      return JSON.parse((await this.body()).toString("utf8"));
    } catch (error) {
      if (error instanceof Refusal) throw error;
      throw invalid(`the body is not JSON: ${error}`);
    }
  }

  /**
   * @param {number} status
   * @param {unknown} [body]
   * @param {Record<string, string>} [headers]
   */
  answer(status, body, headers = {}) {
    const isEmpty = body === undefined || this.request.method === "HEAD";
    this.response.writeHead(status, {
      "Cache-Control": "no-store",
      ...(isEmpty ? {} : { "Content-Type": "application/json" }),
      ...headers,
    });
    this.response.end(isEmpty ? undefined : JSON.stringify(body));
  }

  /** @param {Refusal} refusal */
  refuse(refusal) {
    this.answer(refusal.status, refusal.body, {
      "Content-Type": "application/problem+json",
      ...refusal.headers,
    });
  }

  /** Begins a stream of server-sent events. Returns how to send one. */
  events() {
    this.response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
    this.response.flushHeaders();
    return (/** @type {string | null} */ event, /** @type {string} */ data) => {
      this.response.write(`${event === null ? "" : `event: ${event}\n`}data: ${data}\n\n`);
    };
  }

  /** Whether nobody waits for the answer any more, be it that this was so before it began. */
  get isGone() {
    return this.response.destroyed;
  }

  /** @param {() => void} action */
  whenGone(action) {
    this.response.on("close", action);
  }

  /** Every item from `after` on, `limit` at a time. @template {{ id: string }} T @param {T[]} items @param {string} key */
  page(items, key) {
    const limit = Number(this.url.searchParams.get("limit") ?? 50);
    const after = this.url.searchParams.get("after");
    const from = after === null ? 0 : items.findIndex(({ id }) => id === after) + 1;
    const part = items.slice(from, from + limit);
    const next = from + limit < items.length ? (part.at(-1)?.id ?? null) : null;
    this.answer(200, { [key]: part, next });
  }
}
