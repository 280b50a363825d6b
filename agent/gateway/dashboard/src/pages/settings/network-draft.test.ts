import assert from "node:assert/strict";
import test from "node:test";
import type { Network } from "../../api/contract";
import { type Draft, draftOf, readDraft } from "./network-draft";

const network: Network = {
  hostname: "hearth",
  ipv4: { method: "static", address: "192.168.1.20/24", gateway: "192.168.1.1", dns: ["1.1.1.1", "9.9.9.9"] },
  wifi: null,
  interfaces: [],
  interfaces_problem: null,
  confirm_by: null,
};

const read = (change: Partial<Draft>) => readDraft({ ...draftOf(network), ...change });

test("what was not touched is sent as it was", () => {
  const { hostname, ipv4, wifi } = network;
  assert.deepEqual(read({}), { change: { hostname, ipv4, wifi }, errors: {} });
});

test("automatic addresses are sent without the fixed one", () => {
  assert.deepEqual(read({ method: "dhcp", address: "nonsense" }).change?.ipv4, { method: "dhcp" });
});

test("name servers may have addresses of either kind", () => {
  const { change } = read({ dns: "fd00::1, 192.168.1.1" });
  assert.deepEqual(change?.ipv4.method === "static" && change.ipv4.dns, ["fd00::1", "192.168.1.1"]);
  assert.deepEqual(Object.keys(read({ dns: "fd00::g" }).errors), ["dns"]);
});

test("a password that was not typed is not sent", () => {
  assert.deepEqual(read({ isWifi: true, ssid: "home" }).change?.wifi, { ssid: "home" });
  assert.deepEqual(read({ isWifi: true, ssid: "home", password: "12345678" }).change?.wifi, {
    ssid: "home",
    password: "12345678",
  });
});

test("each wrong field is named, and nothing is sent", () => {
  const cases: [keyof Draft, Partial<Draft>][] = [
    ["hostname", { hostname: "" }],
    ["hostname", { hostname: "-a" }],
    ["hostname", { hostname: "My Host" }],
    ["address", { address: "192.168.1.20" }],
    ["address", { address: "192.168.1.256/24" }],
    ["address", { address: "192.168.1.20/33" }],
    ["address", { address: "192.168.01.20/24" }],
    ["gateway", { gateway: "192.168.1" }],
    ["dns", { dns: "1.1.1.1, one" }],
    ["ssid", { isWifi: true, ssid: "" }],
    ["ssid", { isWifi: true, ssid: "ß".repeat(17) }],
    ["password", { isWifi: true, ssid: "home", password: "short" }],
  ];
  for (const [field, change] of cases) {
    const { change: sent, errors } = read(change);
    assert.equal(sent, null);
    assert.deepEqual(Object.keys(errors), [field], JSON.stringify(change));
  }
});
