// Tokens and who is signed in.
import { randomBytes } from "node:crypto";
import { invalid, notFound, Refusal, unacceptable } from "./exchange.mjs";

/** @typedef {import("./exchange.mjs").Exchange} Exchange */
/** @typedef {import("../src/api/contract").Token} Token */
/** @typedef {import("../src/api/contract").Role} Role */
/** @typedef {{ id: string, token: Token, expires: string }} Signed */

const COOKIE = "__Host-hearth-session";
const MOST_FAILURES = 5;
const LOCKED_SECONDS = 5;
/** @type {readonly Role[]} */
const ROLES = ["read", "chat", "admin"];

export class Sessions {
  /** @type {Map<string, Token>} by their texts */
  #tokens = new Map();
  /** @type {Map<string, Signed>} */
  #sessions = new Map();
  #failures = 0;
  #lockedUntil = 0;

  /** @param {{ secret: string, token: Token }[]} tokens */
  constructor(tokens) {
    for (const { secret, token } of tokens) this.#tokens.set(secret, token);
  }

  /** @param {Exchange} exchange */
  async signIn(exchange) {
    const { token: secret } = await exchange.json();
    if (Date.now() < this.#lockedUntil) {
      const wait = Math.ceil((this.#lockedUntil - Date.now()) / 1000);
      throw new Refusal(429, "Too many failed attempts", "this address has guessed too often", {
        "Retry-After": String(wait),
      });
    }
    const token = this.#tokens.get(secret);
    if (token === undefined) {
      this.#failures += 1;
      if (this.#failures % MOST_FAILURES === 0) this.#lockedUntil = Date.now() + LOCKED_SECONDS * 1000;
      throw new Refusal(
        401,
        "No valid token",
        'this token is not known; "hearth token new" on the appliance makes one',
      );
    }
    this.#failures = 0;
    const id = randomBytes(24).toString("base64url");
    this.#sessions.set(id, { id, token, expires: new Date(Date.now() + 12 * 3600_000).toISOString() });
    exchange.answer(204, undefined, {
      "Set-Cookie": `${COOKIE}=${id}; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=2592000`,
    });
  }

  /** @param {Exchange} exchange */
  tell(exchange) {
    const { token, expires } = signedIn(exchange);
    exchange.answer(200, { id: token.id, name: token.name, role: token.role, expires });
  }

  /** @param {Exchange} exchange */
  signOut(exchange) {
    this.#sessions.delete(signedIn(exchange).id);
    exchange.answer(204, undefined, {
      "Set-Cookie": `${COOKIE}=; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=0`,
    });
  }

  /** Ends all sessions, as a restart of the gateway does. */
  endAll() {
    this.#sessions.clear();
  }

  /**
   * Lets a request pass whose session may do what the route needs.
   * @param {Exchange} exchange
   * @param {Role} role
   */
  admit(exchange, role) {
    const signed = this.#sessions.get(exchange.cookie(COOKIE) ?? "");
    if (signed === undefined) throw new Refusal(401, "No valid token", "sign in first");
    if (ROLES.indexOf(signed.token.role) < ROLES.indexOf(role)) {
      throw new Refusal(
        403,
        "Role not sufficient",
        `this needs the role ${role}; the token's is ${signed.token.role}`,
      );
    }
    exchange.signed = signed;
    checkOrigin(exchange);
  }

  /** @param {Exchange} exchange */
  list(exchange) {
    exchange.page([...this.#tokens.values()], "tokens");
  }

  /** @param {Exchange} exchange */
  async create(exchange) {
    const { name, role } = await exchange.json();
    if (typeof name !== "string" || !ROLES.includes(role)) {
      throw invalid('wanted is {"name": "…", "role": "read" | "chat" | "admin"}');
    }
    if (name.length < 1 || name.length > 64) throw unacceptable("a name has 1 to 64 characters");
    const secret = `hearth_${randomBytes(32).toString("base64url")}`;
    /** @type {Token} */
    const token = { id: randomBytes(4).toString("hex"), name, role, created: new Date().toISOString() };
    this.#tokens.set(secret, token);
    exchange.answer(201, { secret, ...token }, { Location: `/api/v1/tokens/${token.id}` });
  }

  /** @param {Exchange} exchange */
  revoke(exchange) {
    const found = [...this.#tokens].find(([, token]) => token.id === exchange.parts[0]);
    if (found === undefined) throw notFound("there is no such token");
    const [secret, token] = found;
    this.#tokens.delete(secret);
    for (const [id, session] of this.#sessions) if (session.token === token) this.#sessions.delete(id);
    const isAdminLeft = [...this.#tokens.values()].some(({ role }) => role === "admin");
    const note = 'no token for administration is left; "hearth token new" on the appliance makes one';
    exchange.answer(200, { ...token, note: isAdminLeft ? null : note });
  }
}

/** @param {Exchange} exchange @returns {Signed} */
function signedIn({ signed }) {
  if (signed === null) throw new Error("the route did not ask who is signed in");
  return signed;
}

/** A request by cookie that changes something must say that a page of this host sent it. @param {Exchange} exchange */
export function checkOrigin(exchange) {
  if (["GET", "HEAD"].includes(exchange.request.method ?? "")) return;
  const origin = exchange.header("origin");
  const isOurs = origin !== undefined && new URL(origin).host === exchange.header("host");
  if (exchange.header("x-hearth-request") !== "1" || !isOurs) {
    throw new Refusal(
      403,
      "Request from elsewhere",
      "the request lacks X-Hearth-Request, or comes from another page",
    );
  }
}
