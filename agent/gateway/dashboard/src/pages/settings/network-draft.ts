/** What people type about the network, and what it means. */

import type { Network, NetworkChange } from "../../api/contract";

export interface Draft {
  hostname: string;
  method: "dhcp" | "static";
  address: string;
  gateway: string;
  /** Separated by spaces or commas. */
  dns: string;
  isWifi: boolean;
  ssid: string;
  password: string;
}

type Errors = Partial<Record<keyof Draft, string>>;

/** RFC 1123's label. */
const HOSTNAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

export function draftOf({ hostname, ipv4, wifi }: Network): Draft {
  const fixed = ipv4.method === "static" ? ipv4 : { address: "", gateway: null, dns: [] };
  return {
    hostname,
    method: ipv4.method,
    address: fixed.address,
    gateway: fixed.gateway ?? "",
    dns: fixed.dns.join(" "),
    isWifi: wifi !== null,
    ssid: wifi?.ssid ?? "",
    password: "",
  };
}

/** The change that is wanted, or what is wrong with it, field by field. */
export function readDraft(draft: Draft): { change: NetworkChange | null; errors: Errors } {
  const errors = { ...hostErrors(draft), ...addressErrors(draft), ...wifiErrors(draft) };
  if (Object.keys(errors).length > 0) return { change: null, errors };
  const password = draft.password === "" ? {} : { password: draft.password };
  return {
    errors,
    change: {
      hostname: draft.hostname.trim(),
      ipv4:
        draft.method === "dhcp"
          ? { method: "dhcp" }
          : {
              method: "static",
              address: draft.address.trim(),
              gateway: draft.gateway.trim() || null,
              dns: serversOf(draft),
            },
      wifi: draft.isWifi ? { ssid: draft.ssid, ...password } : null,
    },
  };
}

function hostErrors({ hostname }: Draft): Errors {
  return HOSTNAME.test(hostname.trim())
    ? {}
    : { hostname: "Write 1 to 63 small letters, digits and dashes, no dash at an end." };
}

function addressErrors(draft: Draft): Errors {
  if (draft.method === "dhcp") return {};
  const errors: Errors = {};
  const [address = "", prefix = ""] = draft.address.trim().split("/");
  const isPrefix = /^\d{1,2}$/.test(prefix) && Number(prefix) >= 1 && Number(prefix) <= 32;
  if (!isIpv4(address) || !isPrefix)
    errors.address = "Write an address with its prefix, such as 192.168.1.20/24.";
  if (draft.gateway.trim() !== "" && !isIpv4(draft.gateway.trim()))
    errors.gateway = "This is no IPv4 address.";
  if (!serversOf(draft).every((server) => isIpv4(server) || looksLikeIpv6(server)))
    errors.dns = "One of these is no address.";
  return errors;
}

function wifiErrors({ isWifi, ssid, password }: Draft): Errors {
  if (!isWifi) return {};
  const errors: Errors = {};
  const length = new TextEncoder().encode(ssid).length;
  if (length < 1 || length > 32) errors.ssid = "A network's name has 1 to 32 bytes.";
  if (password !== "" && (password.length < 8 || password.length > 63)) {
    errors.password = "A password has 8 to 63 characters.";
  }
  return errors;
}

function serversOf({ dns }: Draft): string[] {
  return dns.split(/[\s,]+/).filter((server) => server !== "");
}

/** Whether it is made of what an IPv6 address is made of; the appliance knows the rest. */
function looksLikeIpv6(text: string): boolean {
  return text.includes(":") && /^[0-9a-f:.]{2,45}$/i.test(text);
}

function isIpv4(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255);
}
