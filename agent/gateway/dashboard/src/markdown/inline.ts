/** What is inside a block: emphasis, code, links and the text between. */

export type Inline =
  | { kind: "text"; text: string }
  | { kind: "code"; text: string }
  | { kind: "strong" | "emphasis" | "strike"; children: Inline[] }
  | { kind: "link"; href: string; children: Inline[] }
  | { kind: "break" };

const DEEPEST = 5;
const SPECIAL = /[\\`*_~[<\n]|https?:\/\//g;
const ESCAPE = /\\([!-/:-@[-`{-~])/y;
const CODE = /(`+)([^`]|[^`][\s\S]*?[^`])\1(?!`)/y;
const LINK =
  /\[([^\]\n]{1,500})\]\(\s*<?([^\s()<>]{1,2000}(?:\([^\s()<>]{0,200}\)[^\s()<>]{0,200})?)>?(?:\s+"[^"\n]{0,500}")?\s*\)/y;
const ADDRESS = /https?:\/\/[^\s<>"'`]{1,2000}[^\s<>"'`.,;:!?)\]*_~]/y;
const BRACKETED = /<(https?:\/\/[^\s<>]{1,2000}|mailto:[^\s<>]{1,500})>/y;
const BREAK = /\n/y;

const MARKS: { mark: string; kind: "strong" | "emphasis" | "strike" }[] = [
  { mark: "**", kind: "strong" },
  { mark: "__", kind: "strong" },
  { mark: "~~", kind: "strike" },
  { mark: "*", kind: "emphasis" },
  { mark: "_", kind: "emphasis" },
];

/** A block's text as its parts. */
export function inlineOf(text: string, depth = 0): Inline[] {
  return new Scanner(text, depth).parts();
}

/** The address of a link if it is one that a page may lead to; scripts and the appliance's own paths are not. */
export function safeAddress(href: string): string | null {
  try {
    const url = new URL(href);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

class Scanner {
  #at = 0;
  #plain = "";
  #parts: Inline[] = [];
  /** Marks that nothing closes from some place on need not be looked for again. */
  #unclosed = new Set<string>();

  constructor(
    private readonly text: string,
    private readonly depth: number,
  ) {}

  parts(): Inline[] {
    while (this.#at < this.text.length) {
      this.#plainText();
      if (this.#at < this.text.length && !this.#special()) this.#take(1);
    }
    this.#flush();
    return this.#parts;
  }

  /** Up to the next character that may mean something. */
  #plainText(): void {
    SPECIAL.lastIndex = this.#at;
    const next = SPECIAL.exec(this.text)?.index ?? this.text.length;
    this.#take(next - this.#at);
  }

  #take(length: number): void {
    this.#plain += this.text.slice(this.#at, this.#at + length);
    this.#at += length;
  }

  #flush(): void {
    if (this.#plain !== "") this.#parts.push({ kind: "text", text: this.#plain });
    this.#plain = "";
  }

  #push(part: Inline, end: number): true {
    this.#flush();
    this.#parts.push(part);
    this.#at = end;
    return true;
  }

  #special(): boolean {
    return (
      this.#escape() || this.#code() || this.#link() || this.#address() || this.#break() || this.#marked()
    );
  }

  #match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.text);
  }

  #escape(): boolean {
    const match = this.#match(ESCAPE);
    if (match === null) return false;
    this.#plain += match[1] ?? "";
    this.#at += 2;
    return true;
  }

  #code(): boolean {
    if (this.text[this.#at] !== "`" || this.#unclosed.has("`")) return false;
    const match = this.#match(CODE);
    if (match === null) {
      const run = this.#match(/`+/y)?.[0] ?? "`";
      if (this.text.indexOf("`", this.#at + run.length) < 0) this.#unclosed.add("`");
      this.#take(run.length);
      return true;
    }
    return this.#push({ kind: "code", text: (match[2] ?? "").trim() }, this.#at + match[0].length);
  }

  #link(): boolean {
    const match = this.#match(LINK);
    const href = match === null ? null : safeAddress(match[2] ?? "");
    if (match === null || href === null || this.depth >= DEEPEST) return false;
    const children = inlineOf(match[1] ?? "", this.depth + 1).flatMap(withoutLinks);
    return this.#push({ kind: "link", href, children }, this.#at + match[0].length);
  }

  #address(): boolean {
    const bracketed = this.#match(BRACKETED);
    const match = bracketed ?? this.#match(ADDRESS);
    const text = bracketed?.[1] ?? match?.[0] ?? "";
    const href = match === null ? null : safeAddress(text);
    if (match === null || href === null) return false;
    return this.#push({ kind: "link", href, children: [{ kind: "text", text }] }, this.#at + match[0].length);
  }

  #break(): boolean {
    const match = this.#match(BREAK);
    if (match === null) return false;
    this.#plain = this.#plain.trimEnd();
    return this.#push({ kind: "break" }, this.#at + 1);
  }

  #marked(): boolean {
    if (this.depth >= DEEPEST) return false;
    for (const { mark, kind } of MARKS) {
      if (!this.text.startsWith(mark, this.#at) || !this.#opens(mark)) continue;
      const end = this.#closing(mark);
      if (end === null) continue;
      const children = inlineOf(this.text.slice(this.#at + mark.length, end), this.depth + 1);
      return this.#push({ kind, children }, end + mark.length);
    }
    return false;
  }

  /** A mark opens before what is not a space; `_` not inside a word. */
  #opens(mark: string): boolean {
    const before = this.text[this.#at - 1];
    return !isSpace(this.text[this.#at + mark.length]) && !(mark.startsWith("_") && isWord(before));
  }

  #closing(mark: string): number | null {
    if (this.#unclosed.has(mark)) return null;
    const from = this.#at + mark.length + 1;
    for (let end = this.text.indexOf(mark, from); end >= 0; end = this.text.indexOf(mark, end + 1)) {
      const after = this.text[end + mark.length];
      const isDoubled = mark.length === 1 && (after === mark || this.text[end - 1] === mark);
      if (isDoubled || isSpace(this.text[end - 1])) continue;
      if (mark.startsWith("_") && isWord(after)) continue;
      // Of three marks in a row the inner emphasis takes the first.
      return mark.length === 2 && after === mark[0] && this.text[end + 3] !== mark[0] ? end + 1 : end;
    }
    this.#unclosed.add(mark);
    return null;
  }
}

function isSpace(character: string | undefined): boolean {
  return character === undefined || /\s/.test(character);
}

function isWord(character: string | undefined): boolean {
  return character !== undefined && /[\p{L}\p{N}]/u.test(character);
}

/** A link holds no link. */
function withoutLinks(part: Inline): Inline[] {
  return part.kind === "link" ? part.children : [part];
}
