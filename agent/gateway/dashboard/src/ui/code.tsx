import { CopyButton } from "./copy";

/** Code as it was written, to be copied. */
export function CodeBlock({ language, text }: { language: string; text: string }) {
  const name = language === "" ? "Code" : language;
  return (
    <div class="code-block">
      <div class="code-head">
        <span>{name}</span>
        <CopyButton text={text} label={`Copy this ${name}`} />
      </div>
      <pre tabIndex={0}>
        <code>{text}</code>
      </pre>
    </div>
  );
}
