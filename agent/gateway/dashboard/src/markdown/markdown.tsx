import type { ComponentChildren, JSX } from "preact";
import { useMemo } from "preact/hooks";
import { CodeBlock } from "../ui/code";
import { type Align, type Block, blocksOf } from "./blocks";
import { type Inline, inlineOf } from "./inline";

/** Markdown as elements. Text only ever becomes text: there is no way from an answer to markup. */
export function Markdown({ text }: { text: string }) {
  const blocks = useMemo(() => blocksOf(text), [text]);
  return <div class="prose">{blocks.map(blockElement)}</div>;
}

function blockElement(block: Block, key: number): JSX.Element {
  switch (block.kind) {
    case "paragraph":
      return <p key={key}>{inline(block.text)}</p>;
    case "heading":
      return (
        <Heading key={key} level={block.level}>
          {inline(block.text)}
        </Heading>
      );
    case "code":
      return <CodeBlock key={key} language={block.language} text={block.text} />;
    case "quote":
      return <blockquote key={key}>{block.blocks.map(blockElement)}</blockquote>;
    case "list":
      return <List key={key} start={block.start} items={block.items} />;
    case "table":
      return <Table key={key} head={block.head} rows={block.rows} align={block.align} />;
    case "rule":
      return <hr key={key} />;
  }
}

/** The page's own headings are levels 1 to 3, so an answer's begin below them. */
function Heading({ level, children }: { level: number; children: ComponentChildren }) {
  if (level <= 1) return <h4>{children}</h4>;
  return level === 2 ? <h5>{children}</h5> : <h6>{children}</h6>;
}

function List({ start, items }: { start: number | null; items: Block[][] }) {
  const entries = items.map((blocks, key) => <li key={key}>{itemContent(blocks)}</li>);
  return start === null ? <ul>{entries}</ul> : <ol start={start}>{entries}</ol>;
}

/** An item that begins with text shows it without a paragraph's room around it. */
function itemContent([first, ...rest]: Block[]): ComponentChildren {
  if (first === undefined) return null;
  const opening = first.kind === "paragraph" ? inline(first.text) : blockElement(first, 0);
  return [opening, ...rest.map((block, index) => blockElement(block, index + 1))];
}

function Table({ head, rows, align }: { head: string[]; rows: string[][]; align: Align[] }) {
  const sideOf = (column: number) => `side-${align[column] ?? "left"}`;
  return (
    <section class="table-scroll" aria-label="Table" tabIndex={0}>
      <table>
        <thead>
          <tr>
            {head.map((cell, column) => (
              <th key={column} class={sideOf(column)} scope="col">
                {inline(cell)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, number) => (
            <tr key={number}>
              {row.map((cell, column) => (
                <td key={column} class={sideOf(column)}>
                  {inline(cell)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function inline(text: string): ComponentChildren {
  return inlineOf(text).map(inlineElement);
}

function inlineElement(part: Inline, key: number): ComponentChildren {
  switch (part.kind) {
    case "text":
      return part.text;
    case "code":
      return <code key={key}>{part.text}</code>;
    case "strong":
      return <strong key={key}>{part.children.map(inlineElement)}</strong>;
    case "emphasis":
      return <em key={key}>{part.children.map(inlineElement)}</em>;
    case "strike":
      return <s key={key}>{part.children.map(inlineElement)}</s>;
    case "link":
      return (
        <a key={key} href={part.href} target="_blank" rel="noopener noreferrer nofollow">
          {part.children.map(inlineElement)}
        </a>
      );
    case "break":
      return <br key={key} />;
  }
}
