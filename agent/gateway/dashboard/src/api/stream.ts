/** Text that arrives in pieces, as lines and as server-sent events. */

/** One server-sent event. */
export interface ServerEvent {
  /** `message` where the stream names none. */
  event: string;
  data: string;
}

/** An answer's body as pieces of text. `onBytes` is told whenever anything comes, be it a comment. */
export async function* textOf(response: Response, onBytes: () => void = () => {}): AsyncGenerator<string> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      onBytes();
      yield decoder.decode(value, { stream: true });
    }
    yield decoder.decode();
  } finally {
    await reader.cancel().catch(() => {}); // It has ended, or nobody wants it: neither is news.
  }
}

/** Pieces of text as lines without their ends; the last one may lack its end. */
export async function* linesOf(pieces: AsyncIterable<string>): AsyncGenerator<string> {
  let rest = "";
  for await (const piece of pieces) {
    const lines = (rest + piece).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop() ?? "";
    yield* lines;
  }
  if (rest !== "") yield rest.replace(/\r$/, "");
}

/**
 * Pieces of text as events. Source: WHATWG HTML, "Server-sent events", "Interpreting an event stream"; ids and retry
 * times are not kept, as the appliance keeps none. An event that the end cuts off is dropped.
 */
export async function* eventsOf(pieces: AsyncIterable<string>): AsyncGenerator<ServerEvent> {
  let event = "message";
  let data: string[] = [];
  for await (const line of linesOf(pieces)) {
    if (line === "") {
      if (data.length > 0) yield { event, data: data.join("\n") };
      event = "message";
      data = [];
      continue;
    }
    const [field, value] = fieldOf(line);
    if (field === "event") event = value;
    if (field === "data") data.push(value);
  }
}

function fieldOf(line: string): [string, string] {
  const colon = line.indexOf(":");
  if (colon < 0) return [line, ""];
  const value = line.slice(colon + 1);
  return [line.slice(0, colon), value.startsWith(" ") ? value.slice(1) : value];
}
