/** What people type as settings of a model, read as the interface wants it. */

export type Read<T> = { value: T | null; error: null } | { error: string };

/** Go's durations, as Ollama takes them. */
const DURATION = /^[-−]?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/;
const WHOLE = /^[-−]?\d+$/;

/** Seconds or a duration; nothing takes the setting away. */
export function readKeepAlive(text: string): Read<number | string> {
  const typed = text.trim().replace("−", "-");
  if (typed === "") return { value: null, error: null };
  if (WHOLE.test(typed)) return { value: Number(typed), error: null };
  if (DURATION.test(typed)) return { value: typed, error: null };
  return { error: "Write a number of seconds, or a duration such as 5m or 1h30m." };
}

/** A number of tokens, not more than the model was trained with; nothing takes the setting away. */
export function readTokens(text: string, most: number | null): Read<number> {
  const typed = text.trim().replaceAll(",", "");
  if (typed === "") return { value: null, error: null };
  const value = /^\d+$/.test(typed) ? Number(typed) : 0;
  if (value < 1) return { error: "Write a number of tokens, such as 4096." };
  if (most !== null && value > most)
    return { error: `The model was trained with ${most} tokens and can use no more.` };
  return { value, error: null };
}
