import { useEffect, useState } from "preact/hooks";
import { Button } from "./button";

const SHOWN_MS = 2_000;

/** Copies a text, and says whether it could. */
export function CopyButton({ text, label }: { text: string; label: string }) {
  const [outcome, setOutcome] = useState<"copied" | "refused" | null>(null);
  useEffect(() => {
    if (outcome === null) return;
    const timer = setTimeout(() => setOutcome(null), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [outcome]);

  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => setOutcome("copied"),
      () => setOutcome("refused"),
    );
  const words = outcome === null ? "Copy" : outcome === "copied" ? "Copied" : "Not allowed";
  return (
    <>
      <Button
        kind="quiet"
        icon={outcome === "copied" ? "check" : "copy"}
        label={label}
        onClick={() => void copy()}
      >
        {words}
      </Button>
      <span class="unseen" role="status">
        {outcome === null ? "" : words}
      </span>
    </>
  );
}
