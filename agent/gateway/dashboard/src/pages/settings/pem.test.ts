import assert from "node:assert/strict";
import test from "node:test";
import { certificateError, keyError } from "./pem";

const CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n";
const KEY = "-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n";

test("what is no certificate, or has its key in it, is told", () => {
  assert.equal(certificateError(CERTIFICATE + CERTIFICATE), null);
  assert.match(certificateError(CERTIFICATE + KEY) ?? "", /private key/);
  assert.match(certificateError("\u0030\u0082") ?? "", /no certificate/);
  assert.match(certificateError(CERTIFICATE.padEnd(60_000, "x")) ?? "", /too large/);
});

test("what is no key, or has a password, is told", () => {
  assert.equal(keyError(KEY), null);
  assert.equal(keyError(KEY.replaceAll("PRIVATE", "EC PRIVATE")), null);
  assert.match(keyError(KEY.replaceAll("PRIVATE", "ENCRYPTED PRIVATE")) ?? "", /password/);
  const old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n";
  assert.match(keyError(old) ?? "", /password/);
  assert.match(keyError(CERTIFICATE) ?? "", /no private key/);
});
