// A made-up journal that goes on.
import { randomFrom } from "./machine.mjs";

/** @typedef {import("../src/api/contract").LogEntry} LogEntry */

/** @type {Omit<LogEntry, "time">[]} */
const LINES = [
  {
    unit: "hearthd.service",
    priority: 6,
    message: "policy0: scaling_max_freq 3400000 → 2100000 (decode: 2.4 % slower, within 3 %)",
  },
  {
    unit: "hearth-inferd.service",
    priority: 6,
    message: "answered: prompt 41, completion 128, first after 1.9 s, 14.2 tokens a second",
  },
  {
    unit: "hearth-gateway.service",
    priority: 6,
    message: "laptop (admin) from 192.168.1.23: PUT /api/v1/power 200",
  },
  {
    unit: "hearthd.service",
    priority: 4,
    message: "/sys/class/hwmon/hwmon3/temp1_input cannot be read: Input/output error (os error 5)",
  },
  {
    unit: "systemd-networkd.service",
    priority: 6,
    message: "enp1s0: DHCPv4 address 192.168.1.20/24, gateway 192.168.1.1 acquired from 192.168.1.1",
  },
  {
    unit: "hearth-gateway.service",
    priority: 5,
    message: "a request without a valid token from 192.168.1.77",
  },
  { unit: null, priority: 6, message: "zram0: detected capacity change from 0 to 7932608" },
  {
    unit: "hearth-inferd.service",
    priority: 3,
    message:
      "qwen2.5-coder-1.5b-instruct: the block 17 is damaged: its hash differs\n  tensors: blk.3.ffn_down.weight, blk.3.ffn_up.weight",
  },
  {
    unit: "hearthd.service",
    priority: 7,
    message: "sample: 46.2 °C, 0.80 GHz, 3.1 W, idle; next in 5000 ms",
  },
];

const FIRST_LINES = 260;

export class JournalMock {
  /** @type {LogEntry[]} */
  entries = [];
  /** @type {Set<(entry: LogEntry) => void>} */
  #followers = new Set();
  #random = randomFrom(3);

  constructor() {
    for (let back = FIRST_LINES; back > 0; back -= 1) this.#add(Date.now() - back * 7_000);
  }

  /** A new line, as one comes now and then. */
  tick() {
    const entry = this.#add(Date.now());
    for (const follower of this.#followers) follower(entry);
  }

  /** @param {number} at */
  #add(at) {
    const line = LINES[Math.floor(this.#random() * LINES.length)];
    if (line === undefined) throw new Error("there is no line");
    const entry = { time: new Date(at).toISOString(), ...line };
    this.entries.push(entry);
    return entry;
  }

  /** @param {import("./exchange.mjs").Exchange} exchange */
  tell(exchange) {
    const { searchParams } = exchange.url;
    const unit = searchParams.get("unit") ?? "";
    const priority = Number(searchParams.get("priority") ?? 7);
    const lines = Number(searchParams.get("lines") ?? 200);
    const fits = (/** @type {LogEntry} */ entry) =>
      entry.priority <= priority && (unit === "" || entry.unit === unit || entry.unit === `${unit}.service`);
    const newest = this.entries.filter(fits).slice(-lines);
    if (searchParams.get("follow") !== "true") {
      exchange.response.writeHead(200, { "Content-Type": "application/x-ndjson" });
      exchange.response.end(newest.map((entry) => `${JSON.stringify(entry)}\n`).join(""));
      return;
    }
    const send = exchange.events();
    const follower = (/** @type {LogEntry} */ entry) => {
      if (fits(entry)) send(null, JSON.stringify(entry));
    };
    for (const entry of newest) follower(entry);
    this.#followers.add(follower);
    exchange.whenGone(() => this.#followers.delete(follower));
  }
}
