const END = 64 << 10;

/** What tells a file from another of its name and size: when it was changed last, and a digest of its ends. */
export async function identityOf(file: File): Promise<string> {
  const ends = new Blob([file.slice(0, END), file.slice(Math.max(file.size - END, 0))]);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await ends.arrayBuffer()));
  const digits = [...digest].map((byte) => byte.toString(16).padStart(2, "0"));
  return `${file.lastModified}-${digits.join("")}`;
}
