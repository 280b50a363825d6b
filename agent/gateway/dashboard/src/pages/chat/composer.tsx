import { useEffect, useId, useRef, useState } from "preact/hooks";
import { ask, type Conversation, isAnswering, setDraft, stopAnswer } from "../../state/chats";
import { Button } from "../../ui/button";

const MOST_LINES_PIXELS = 220;

/** Fingers type on keyboards whose Enter begins a line. */
const isTouched = matchMedia("(pointer: coarse)");

type Props = {
  conversation: Conversation;
  /** Who is asked; null where that is not known yet, or there is nobody. */
  model: string | null;
  /** An engine that sleeps takes a while to tell its models: a question waits for that. */
  isWaking: boolean;
};

/** Where a question is written. */
export function Composer({ conversation, model, isWaking }: Props) {
  const { id, draft } = conversation;
  const area = useRef<HTMLTextAreaElement>(null);
  const fieldId = useId();
  const isBusy = isAnswering(conversation);
  const canSend = !isBusy && (model !== null || isWaking) && draft.trim() !== "";
  const [isSent, setSent] = useState(false);

  // biome-ignore lint/correctness/useExhaustiveDependencies: it grows with what is in it
  useEffect(() => {
    const element = area.current;
    if (element === null) return;
    element.style.height = "auto";
    element.style.height = `${Math.min(element.scrollHeight, MOST_LINES_PIXELS)}px`;
  }, [draft]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: another conversation begins with its field
  useEffect(() => {
    setSent(false);
    if (!isTouched.matches) area.current?.focus({ preventScroll: true });
  }, [id]);

  useEffect(() => {
    if (!isSent || (model === null && isWaking)) return;
    setSent(false);
    // Where nobody has turned up who could be asked, it stays in its field, for whoever wrote it to send or to drop.
    if (model !== null) void ask(id, model, draft.trim());
  }, [isSent, isWaking, id, model, draft]);

  const submit = () => setSent(canSend);
  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <label class="unseen" for={fieldId}>
        Your question
      </label>
      <textarea
        id={fieldId}
        ref={area}
        rows={1}
        value={draft}
        placeholder="Ask something"
        onInput={(event) => {
          setSent(false);
          setDraft(id, event.currentTarget.value);
        }}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || event.shiftKey || event.isComposing || isTouched.matches) return;
          event.preventDefault();
          submit();
        }}
      />
      {isBusy ? (
        <Button kind="main" icon="stop" onClick={() => stopAnswer(id)}>
          Stop
        </Button>
      ) : (
        <Button kind="main" icon="send" type="submit" isDisabled={!canSend || isSent}>
          {isSent ? "Waking…" : "Send"}
        </Button>
      )}
    </form>
  );
}
