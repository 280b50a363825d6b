import type { ProblemBody } from "./contract";
import type { OpenAiError } from "./openai";

/** Why something was not done: a title, what happened this time, and when to try again. */
export class Problem extends Error {
  constructor(
    /** The kind in words. */
    readonly title: string,
    /** What happened, and the way out. */
    readonly detail: string,
    /** The HTTP status; 0 where no answer came. */
    readonly status: number,
    /** Seconds after which it makes sense to try again. */
    readonly retryAfter: number | null = null,
  ) {
    super(`${title}: ${detail}`);
  }

  /** Whether the same request can succeed later without anybody changing anything. */
  get isPassing(): boolean {
    return this.status === 0 || this.status === 429 || (this.status >= 502 && this.status <= 504);
  }
}

/** A problem in the body of a job. */
export function fromBody(body: ProblemBody): Problem {
  return new Problem(body.title, body.detail, body.status);
}

/** A refusal in the middle of a chat's stream. */
export function fromOpenAi(error: OpenAiError, status: number, retryAfter: number | null = null): Problem {
  return new Problem(openAiTitle(error), error.message, status, retryAfter);
}

function openAiTitle(error: OpenAiError): string {
  const words = (error.code ?? error.type).replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** What a request that got no answer is told as. */
export function noConnection(): Problem {
  return new Problem(
    "No connection",
    "The appliance does not answer. It may be restarting, or your network may be down.",
    0,
  );
}

/** Anything that was thrown, as a problem. */
export function asProblem(thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown;
  const detail = thrown instanceof Error ? thrown.message : String(thrown);
  return new Problem("The page itself failed", detail, -1);
}

/** The problem that an answer tells, in whichever of the two shapes. */
export async function fromResponse(response: Response): Promise<Problem> {
  const retryAfter = seconds(response.headers.get("Retry-After"));
  const body = parsed(await response.text());
  if (isProblemBody(body)) return new Problem(body.title, body.detail, response.status, retryAfter);
  if (isOpenAiBody(body)) return fromOpenAi(body.error, response.status, retryAfter);
  return new Problem(
    `HTTP ${response.status}`,
    response.statusText || "No reason was given.",
    response.status,
    retryAfter,
  );
}

function seconds(header: string | null): number | null {
  const value = header === null ? Number.NaN : Number(header);
  return Number.isFinite(value) && value >= 0 ? value : null;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function isProblemBody(body: unknown): body is ProblemBody {
  return isObject(body) && typeof body.title === "string" && typeof body.detail === "string";
}

function isOpenAiBody(body: unknown): body is { error: OpenAiError } {
  return isObject(body) && isObject(body.error) && typeof body.error.message === "string";
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
