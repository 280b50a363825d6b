import { useRef } from "preact/hooks";
import { span } from "../../format/time";
import { counted, rate } from "../../format/units";
import { Markdown } from "../../markdown/markdown";
import { askAgain, type Conversation, isAnswering, type Speed, type Turn } from "../../state/chats";
import { engine } from "../../state/live";
import { useStore } from "../../state/store";
import { Button } from "../../ui/button";
import { CopyButton } from "../../ui/copy";
import { useFollowedEnd } from "../../ui/followed-end";
import { ProblemBox } from "../../ui/problem";

/** What has been said. It follows an answer as long as its reader stays at the end. */
export function Thread({ conversation, model }: { conversation: Conversation; model: string | null }) {
  const { turns } = conversation;
  const element = useRef<HTMLDivElement>(null);
  const onScroll = useFollowedEnd(element, conversation, `${conversation.id} ${turns.length}`);
  return (
    <div
      class="thread"
      ref={element}
      tabIndex={0}
      role="log"
      aria-label="Conversation"
      aria-live="off"
      onScroll={onScroll}
    >
      {turns.length === 0 && (
        <p class="empty">
          Ask something. The answer is made on this machine; neither is stored or leaves it.
        </p>
      )}
      {turns.map((turn, index) => (
        <TurnView
          key={turn.id}
          turn={turn}
          onAgain={
            index === turns.length - 1 && turn.role === "assistant" && model !== null
              ? () => void askAgain(conversation.id, model)
              : null
          }
        />
      ))}
      <p class="unseen" role="status">
        {announcement(conversation)}
      </p>
    </div>
  );
}

/** What a screen reader is told: beginnings and ends, not each word. */
function announcement(conversation: Conversation): string {
  const last = conversation.turns.at(-1);
  if (last === undefined || last.role === "user") return "";
  if (isAnswering(conversation)) return "The answer is being written.";
  return last.state === "stopped" ? "The answer was stopped." : `The answer: ${last.text}`;
}

function TurnView({ turn, onAgain }: { turn: Turn; onAgain: (() => void) | null }) {
  if (turn.role === "user") {
    return (
      <article class="turn user" aria-label="You">
        <p>{turn.text}</p>
      </article>
    );
  }
  const isBusy = turn.state === "waiting" || turn.state === "writing";
  return (
    <article class="turn assistant" aria-label="Answer" aria-busy={isBusy}>
      {turn.state === "waiting" && <Waiting />}
      <Markdown text={turn.text} />
      <ProblemBox problem={turn.problem} />
      {!isBusy && (
        <footer class="turn-foot">
          {turn.text !== "" && <CopyButton text={turn.text} label="Copy the answer" />}
          {onAgain !== null && (
            <Button kind="quiet" icon="again" onClick={onAgain}>
              Ask again
            </Button>
          )}
          <span class="turn-end">{endOf(turn)}</span>
        </footer>
      )}
    </article>
  );
}

/** What the engine does before the first word comes. */
function Waiting() {
  const now = useStore(engine);
  const words =
    now?.phase === "loading" || now?.state === "stopped" || now?.state === "parked"
      ? "The engine wakes and loads the model…"
      : now?.phase === "prefill"
        ? "The question is being read…"
        : "Waiting for the first word…";
  return (
    <p class="waiting">
      <span class="pulse" aria-hidden="true" />
      {words}
    </p>
  );
}

function endOf({ state, speed }: Turn): string {
  const how: Partial<Record<Turn["state"], string>> = {
    stopped: "Stopped",
    cut: "Cut off at the longest length",
    failed: "Failed",
  };
  return [how[state], speed && speedOf(speed)].filter(Boolean).join(" · ");
}

function speedOf({ tokens, tokensPerSecond, firstMs }: Speed): string {
  const parts = [counted(tokens, "token")];
  if (tokensPerSecond !== null) parts.push(rate(tokensPerSecond));
  parts.push(`first after ${firstMs < 1000 ? `${Math.round(firstMs)} ms` : span(firstMs / 1000)}`);
  return parts.join(" · ");
}
