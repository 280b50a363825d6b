/** What can be told of a certificate's and a key's file before anything is sent; the rest is the appliance's to say. */

/** The largest body that the appliance reads, less what JSON adds. */
const LARGEST = 48 << 10;

export function certificateError(text: string): string | null {
  if (text.length > LARGEST) return "This file is too large for a certificate.";
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text))
    return "There is a private key in it: leave it out here.";
  return text.includes("-----BEGIN CERTIFICATE-----") ? null : "This is no certificate in PEM.";
}

export function keyError(text: string): string | null {
  if (text.length > LARGEST) return "This file is too large for a key.";
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m.test(text))
    return "This key has a password: write it to a file without one.";
  return /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text) ? null : "This is no private key in PEM.";
}
