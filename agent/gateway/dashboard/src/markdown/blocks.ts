/**
 * Markdown's blocks, as far as models write them: a part of CommonMark with GitHub's tables. Markup of HTML stays text.
 * Whatever cannot be understood is a paragraph; nothing is ever lost.
 */

export type Block =
  | { kind: "paragraph"; text: string }
  | { kind: "heading"; level: number; text: string }
  | { kind: "code"; language: string; text: string }
  | { kind: "list"; start: number | null; items: Block[][] }
  | { kind: "quote"; blocks: Block[] }
  | { kind: "table"; head: string[]; rows: string[][]; align: Align[] }
  | { kind: "rule" };

export type Align = "left" | "center" | "right" | null;

/** Lists and quotes that lie deeper in one another are text. */
const DEEPEST = 6;

/** What is indented by so much belongs to an item: models rarely indent by a marker's whole width. */
const LEAST_INDENT = 2;

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)(?:\s+#+)?\s*$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(\s+|$)/;
const TABLE_RULE = /^ {0,3}\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

/** Text as blocks. A code block that has no end yet goes to the end of the text, as it does while an answer grows. */
export function blocksOf(text: string): Block[] {
  return parse(text.replaceAll("\t", "    ").split(/\r\n|\n|\r/), 0);
}

/** Lines, and how many of them have been read. */
interface Reader {
  lines: string[];
  at: number;
  depth: number;
}

function parse(lines: string[], depth: number): Block[] {
  const reader: Reader = { lines, at: 0, depth };
  const blocks: Block[] = [];
  while (reader.at < lines.length) {
    if (isBlank(lines[reader.at])) reader.at += 1;
    else blocks.push(nextBlock(reader));
  }
  return blocks;
}

function nextBlock(reader: Reader): Block {
  const nested = reader.depth < DEEPEST ? (quote(reader) ?? list(reader)) : null;
  return code(reader) ?? heading(reader) ?? rule(reader) ?? nested ?? table(reader) ?? paragraph(reader);
}

function line(reader: Reader): string {
  return reader.lines[reader.at] ?? "";
}

function isBlank(text: string | undefined): boolean {
  return text === undefined || text.trim() === "";
}

function code(reader: Reader): Block | null {
  const opening = FENCE.exec(line(reader));
  const fence = opening?.[1];
  if (fence === undefined) return null;
  const indent = line(reader).search(/\S/);
  const text: string[] = [];
  for (reader.at += 1; reader.at < reader.lines.length; reader.at += 1) {
    if (closes(line(reader).trim(), fence)) {
      reader.at += 1;
      break;
    }
    text.push(line(reader).replace(new RegExp(`^ {0,${indent}}`), ""));
  }
  return { kind: "code", language: opening?.[2]?.trim().split(/\s/)[0] ?? "", text: text.join("\n") };
}

function closes(text: string, fence: string): boolean {
  return text.length >= fence.length && text === fence.charAt(0).repeat(text.length);
}

function heading(reader: Reader): Block | null {
  const match = HEADING.exec(line(reader));
  if (match === null) return null;
  reader.at += 1;
  return { kind: "heading", level: match[1]?.length ?? 1, text: match[2] ?? "" };
}

function rule(reader: Reader): Block | null {
  if (!RULE.test(line(reader))) return null;
  reader.at += 1;
  return { kind: "rule" };
}

function quote(reader: Reader): Block | null {
  if (!QUOTE.test(line(reader))) return null;
  const inner: string[] = [];
  while (QUOTE.test(line(reader))) {
    inner.push(line(reader).replace(QUOTE, ""));
    reader.at += 1;
  }
  return { kind: "quote", blocks: parse(inner, reader.depth + 1) };
}

function list(reader: Reader): Block | null {
  const first = ITEM.exec(line(reader));
  if (first === null || RULE.test(line(reader))) return null;
  const marker = kindOfMarker(first[2] ?? "");
  const items: Block[][] = [];
  for (;;) {
    const match = ITEM.exec(line(reader));
    if (match === null || kindOfMarker(match[2] ?? "") !== marker || RULE.test(line(reader))) break;
    items.push(parse(itemLines(reader, match), reader.depth + 1));
  }
  const start = marker === "." || marker === ")" ? Number.parseInt(first[2] ?? "1", 10) : null;
  return { kind: "list", start, items };
}

/** The character that tells lists apart: `-`, `*`, `+`, `.` or `)`. */
function kindOfMarker(marker: string): string {
  return marker.slice(-1);
}

/** The lines of one item, without their indent: those that are indented, and those that go on with a paragraph. */
function itemLines(reader: Reader, match: RegExpExecArray): string[] {
  const outside = match[1]?.length ?? 0;
  const indent = outside + (match[2]?.length ?? 0) + 1;
  const lines = [line(reader).slice(match[0].length)];
  for (reader.at += 1; reader.at < reader.lines.length; reader.at += 1) {
    const text = line(reader);
    if (isBlank(text)) {
      if (!continuesAfterBlank(reader, outside)) break;
      lines.push("");
    } else if (text.search(/\S/) >= outside + LEAST_INDENT) {
      lines.push(unindented(text, indent));
    } else if (isBlank(lines.at(-1)) || begins(text)) {
      break;
    } else {
      lines.push(text);
    }
  }
  skipBlank(reader);
  return lines;
}

function unindented(text: string, indent: number): string {
  return text.slice(Math.min(text.search(/\S/), indent));
}

/** Whether what follows the blank lines still belongs to the item. */
function continuesAfterBlank(reader: Reader, outside: number): boolean {
  let at = reader.at;
  while (at < reader.lines.length && isBlank(reader.lines[at])) at += 1;
  const next = reader.lines[at];
  return next !== undefined && next.search(/\S/) >= outside + LEAST_INDENT;
}

function skipBlank(reader: Reader): void {
  while (reader.at < reader.lines.length && isBlank(line(reader))) reader.at += 1;
}

/** Whether a line begins a block that ends a paragraph. */
function begins(text: string): boolean {
  return [FENCE, HEADING, RULE, QUOTE, ITEM].some((pattern) => pattern.test(text));
}

function table(reader: Reader): Block | null {
  const below = reader.lines[reader.at + 1];
  if (!line(reader).includes("|") || below === undefined || !TABLE_RULE.test(below)) return null;
  const head = cells(line(reader));
  const align = cells(below).map(alignOf);
  if (align.length !== head.length) return null;
  const rows: string[][] = [];
  for (reader.at += 2; line(reader).includes("|") && !isBlank(line(reader)); reader.at += 1) {
    const row = cells(line(reader)).slice(0, head.length);
    rows.push([...row, ...Array<string>(head.length - row.length).fill("")]);
  }
  return { kind: "table", head, rows, align };
}

function cells(text: string): string[] {
  const inner = text
    .trim()
    .replace(/^\|/, "")
    .replace(/(?<!\\)\|$/, "");
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function alignOf(cell: string): Align {
  if (cell.startsWith(":")) return cell.endsWith(":") ? "center" : "left";
  return cell.endsWith(":") ? "right" : null;
}

function paragraph(reader: Reader): Block {
  const text = [line(reader)];
  for (reader.at += 1; !isBlank(line(reader)) && !endsParagraph(reader); reader.at += 1)
    text.push(line(reader));
  return { kind: "paragraph", text: text.map((part) => part.trimStart()).join("\n") };
}

function endsParagraph(reader: Reader): boolean {
  return reader.depth < DEEPEST ? begins(line(reader)) : FENCE.test(line(reader));
}
