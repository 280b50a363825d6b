import assert from "node:assert/strict";
import test from "node:test";
import { type Block, blocksOf } from "./blocks";
import { type Inline, inlineOf, safeAddress } from "./inline";

/** Blocks in a short form for comparing. */
function brief(blocks: Block[]): unknown[] {
  return blocks.map(briefBlock);
}

function briefBlock(block: Block): unknown {
  switch (block.kind) {
    case "paragraph":
      return block.text;
    case "heading":
      return [`h${block.level}`, block.text];
    case "code":
      return ["code", block.language, block.text];
    case "list":
      return [block.start ?? "ul", ...block.items.map(brief)];
    case "quote":
      return ["quote", ...brief(block.blocks)];
    case "table":
      return ["table", block.head, ...block.rows];
    case "rule":
      return "---";
  }
}

function briefInline(parts: Inline[]): unknown[] {
  return parts.map((part) => {
    if (part.kind === "text") return part.text;
    if (part.kind === "break") return "\n";
    if (part.kind === "code") return { code: part.text };
    if (part.kind === "link") return { [part.href]: briefInline(part.children) };
    return { [part.kind]: briefInline(part.children) };
  });
}

test("blocks are told apart", () => {
  const text = [
    "# Title #",
    "A line",
    "and its next.",
    "",
    "---",
    "> quoted",
    "> ## deeper",
    "",
    "```rust",
    "fn main() {",
    "",
    "}",
    "```",
    "End",
  ].join("\n");
  assert.deepEqual(brief(blocksOf(text)), [
    ["h1", "Title"],
    "A line\nand its next.",
    "---",
    ["quote", "quoted", ["h2", "deeper"]],
    ["code", "rust", "fn main() {\n\n}"],
    "End",
  ]);
});

test("lists nest, number from where they begin, and hold code", () => {
  const text =
    "3. three\n   ```\n   x\n   ```\n4. four\n   - a\n   - b\n     more\n\n   para\n\n* other\n+ third";
  assert.deepEqual(brief(blocksOf(text)), [
    [3, ["three", ["code", "", "x"]], ["four", ["ul", ["a"], ["b\nmore"]], "para"]],
    ["ul", ["other"]],
    ["ul", ["third"]],
  ]);
});

test("loose items stay one list, and indented by two they nest too", () => {
  assert.deepEqual(brief(blocksOf("- a\n\n- b\n  - c")), [["ul", ["a"], ["b", ["ul", ["c"]]]]]);
  assert.deepEqual(brief(blocksOf("  - a\n  - b")), [["ul", ["a"], ["b"]]]);
  assert.deepEqual(brief(blocksOf("1. a\n  - b\n2. c")), [[1, ["a", ["ul", ["b"]]], ["c"]]]);
});

test("a table has as many cells in each row as its head", () => {
  const text = "| a | b |\n|:--|--:|\n| 1 | x \\| y | z |\n| 2 |\n\nafter";
  assert.deepEqual(brief(blocksOf(text)), [["table", ["a", "b"], ["1", "x | y"], ["2", ""]], "after"]);
  assert.deepEqual(brief(blocksOf("a | b\nno rule")), ["a | b\nno rule"]);
});

test("code without an end goes on to the end, and a shorter fence does not end it", () => {
  assert.deepEqual(brief(blocksOf("````\n```\nx")), [["code", "", "```\nx"]]);
});

test("emphasis, code, links and breaks", () => {
  assert.deepEqual(briefInline(inlineOf("a **b *c* d** `e*f*` ~~g~~\nh")), [
    "a ",
    { strong: ["b ", { emphasis: ["c"] }, " d"] },
    " ",
    { code: "e*f*" },
    " ",
    { strike: ["g"] },
    "\n",
    "h",
  ]);
  assert.deepEqual(briefInline(inlineOf("***both***")), [{ strong: [{ emphasis: ["both"] }] }]);
  assert.deepEqual(briefInline(inlineOf("[x **y**](https://e.org/a_(b)) https://e.org/z.")), [
    { "https://e.org/a_(b)": ["x ", { strong: ["y"] }] },
    " ",
    { "https://e.org/z": ["https://e.org/z"] },
    ".",
  ]);
});

test("an address in brackets is a link, and other brackets are text", () => {
  assert.deepEqual(briefInline(inlineOf("<https://e.org/a> <b> <javascript:x>")), [
    { "https://e.org/a": ["https://e.org/a"] },
    " <b> <javascript:x>",
  ]);
});

test("what is no mark stays as it is", () => {
  for (const text of ["snake_case_name", "2 * 3 * 4", "**open", "a ` b", "[x]", "[x](y", "\\", "5 ** 2"]) {
    assert.deepEqual(briefInline(inlineOf(text)), [text]);
  }
  assert.deepEqual(briefInline(inlineOf("\\*x\\*")), ["*x*"]);
});

test("no link leads to a script or into the appliance", () => {
  for (const href of [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,x",
    "vbscript:x",
    "/api/v1/tokens",
    "#/x",
    "//e.org",
  ]) {
    assert.equal(safeAddress(href), null, href);
    assert.ok(
      inlineOf(`[x](${href})`).every((part) => part.kind !== "link"),
      href,
    );
  }
  assert.equal(safeAddress("mailto:a@b.org"), "mailto:a@b.org");
});

test("markup of HTML is text", () => {
  const text = '<img src=x onerror="alert(1)"><script>x</script>';
  assert.deepEqual(brief(blocksOf(text)), [text]);
  assert.deepEqual(briefInline(inlineOf(text)), [text]);
});

test("nothing that a model can say takes long or goes too deep", () => {
  const size = 40_000;
  for (const piece of [
    "[",
    "*a ",
    "**",
    "`",
    "``a",
    "_a",
    "> ",
    "- ",
    "~~x",
    "[a](",
    "https://",
    "| ",
    "1. ",
    "***a",
  ]) {
    const text = piece.repeat(size / piece.length);
    // The processor's time: what else it has to do meanwhile does not count.
    const begun = process.cpuUsage();
    for (const block of blocksOf(text)) if (block.kind === "paragraph") inlineOf(block.text);
    const taken = process.cpuUsage(begun).user / 1000;
    assert.ok(taken < 500, `${JSON.stringify(piece)} took ${taken} ms`);
  }
});

test("no text is lost", () => {
  const words = (value: unknown): string => JSON.stringify(value);
  const text = "one\n- two\n  > three\n\n| four | five |\n|-|-|\n| six | seven |\n```eight\nnine";
  for (const word of ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]) {
    assert.ok(words(blocksOf(text)).includes(word), word);
  }
});
