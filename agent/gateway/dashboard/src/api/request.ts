import { fromResponse, noConnection, Problem } from "./problem";

export interface RequestOptions {
  body?: BodyInit | undefined;
  json?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

type Method = "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";

let onSignedOut: () => void = () => {};

/** Says what to do when the appliance no longer knows the session. */
export function whenSignedOut(action: () => void): void {
  onSignedOut = action;
}

/**
 * Sends a request with the session's cookie. Whatever is not a success is thrown as a {@link Problem}; a request that
 * was aborted is thrown as it is.
 */
export async function send(method: Method, path: string, options: RequestOptions = {}): Promise<Response> {
  const response = await answered(path, {
    method,
    headers: headersOf(method, options),
    body: options.json === undefined ? (options.body ?? null) : JSON.stringify(options.json),
    signal: options.signal ?? null,
    credentials: "same-origin",
    cache: "no-store",
    redirect: "error",
  });
  if (response.ok) return response;
  if (response.status === 401) onSignedOut();
  throw await fromResponse(response);
}

/** Sends a request and reads its answer as JSON. */
export async function sendForJson<T>(method: Method, path: string, options?: RequestOptions): Promise<T> {
  const response = await send(method, path, options);
  return (await response.json()) as T;
}

/** Whether it was thrown because somebody no longer wanted the answer. */
export function isAbort(thrown: unknown): boolean {
  return thrown instanceof DOMException && thrown.name === "AbortError";
}

/** A key by which the appliance tells a repeated request from a second one. */
export function idempotencyKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function answered(path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(path, init);
  } catch (thrown) {
    if (isAbort(thrown)) throw thrown;
    throw noConnection();
  }
}

/** A request by cookie that changes something must say that a page of this host sent it. */
function headersOf(method: Method, options: RequestOptions): Record<string, string> {
  return {
    ...(method === "GET" || method === "HEAD" ? {} : { "X-Hearth-Request": "1" }),
    ...(options.json === undefined ? {} : { "Content-Type": "application/json" }),
    ...options.headers,
  };
}

/** The header of an answer, or a problem that names it. */
export function requiredHeader(response: Response, name: string): string {
  const value = response.headers.get(name);
  if (value !== null) return value;
  throw new Problem("Unexpected answer", `The answer lacks the header ${name}.`, response.status);
}
