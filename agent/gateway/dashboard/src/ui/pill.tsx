import type { ComponentChildren } from "preact";

/** A word about a state. The colour only underlines what the word says. */
export function Pill(props: { tone?: "plain" | "good" | "warn" | "bad"; children: ComponentChildren }) {
  return <span class={`pill ${props.tone ?? "plain"}`}>{props.children}</span>;
}
