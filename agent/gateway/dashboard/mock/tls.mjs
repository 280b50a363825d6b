// The made-up appliance's certificates: what it says of them is made up, but a key must be its certificate's.
import { createPrivateKey, X509Certificate } from "node:crypto";
import { notFound, unacceptable } from "./exchange.mjs";

/** @typedef {import("./exchange.mjs").Exchange} Exchange */
/** @typedef {import("../src/api/contract").Tls} Tls */

const MADE = {
  sha256: "C0:FF:EE:11:".repeat(7).concat("22:33:44:55"),
  not_after: "2027-11-22T00:00:00Z",
  names: ["hearth.local", "hearth", "192.168.1.20", "fe80::8647:9ff:fe1a:2b3c"],
};
const OWN = {
  sha256: "0B:57:AC:1E:".repeat(7).concat("99:88:77:66"),
  not_after: "2027-02-20T00:00:00Z",
  names: ["hearth.example.org"],
};
const AUTHORITY = {
  sha256: "3F:9A:".repeat(15).concat("77:01"),
  not_after: "2046-01-01T00:00:00Z",
  names: [],
};

export class TlsMock {
  /** @type {Tls} */
  #tls = { source: "local", certificate: MADE, authority: AUTHORITY, own_problem: null, plain_http: false };

  /** @param {Exchange} exchange */
  tell(exchange) {
    exchange.answer(200, this.#tls);
  }

  /** @param {Exchange} exchange */
  async install(exchange) {
    const { certificate, key } = await exchange.json();
    if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key)))
      throw unacceptable("the key is not the certificate's");
    this.#tls = { ...this.#tls, source: "own", certificate: OWN };
    this.tell(exchange);
  }

  /** @param {Exchange} exchange */
  remove(exchange) {
    if (this.#tls.source === "local") throw notFound("no certificate of your own is installed");
    this.#tls = { ...this.#tls, source: "local", certificate: MADE };
    this.tell(exchange);
  }

  /** @param {Exchange} exchange */
  async setPlainHttp(exchange) {
    const { enabled } = await exchange.json();
    this.#tls = { ...this.#tls, plain_http: enabled };
    this.tell(exchange);
  }
}
