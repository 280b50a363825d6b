import { span } from "../../format/time";
import { bytes } from "../../format/units";
import { useAction } from "../../state/resource";
import {
  cancelUpload,
  forgetUpload,
  isUnderWay,
  pauseUpload,
  resumeUpload,
  type Sending,
} from "../../state/uploads";
import { Button } from "../../ui/button";
import { ProblemBox } from "../../ui/problem";
import { Progress } from "../../ui/progress";

/** Files on their way. One that has arrived is shown by its job. */
export function Sendings({ list }: { list: Sending[] }) {
  const cancelling = useAction();
  const shown = list.filter(({ state }) => state.phase !== "sent" && state.phase !== "cancelled");
  return (
    <>
      <ProblemBox problem={cancelling.problem} />
      {shown.map((sending) => (
        <SendingView
          key={sending.key}
          sending={sending}
          onCancel={() => void cancelling.run(() => cancelUpload(sending.key))}
        />
      ))}
    </>
  );
}

function SendingView({ sending, onCancel }: { sending: Sending; onCancel: () => void }) {
  const { key, name, file, size, state } = sending;
  return (
    <section class="panel work" aria-label={`Sending ${name}`}>
      <header class="panel-head">
        <h2 class="breakable">Sending {name}</h2>
        <div class="actions">
          {(state.phase === "sending" || state.phase === "waiting") && (
            <Button icon="pause" label={`Pause ${name}`} onClick={() => pauseUpload(key)}>
              Pause
            </Button>
          )}
          {state.phase === "paused" && (
            <Button icon="resume" label={`Resume ${name}`} onClick={() => resumeUpload(key)}>
              Resume
            </Button>
          )}
          {state.phase === "failed" && (
            <Button icon="again" label={`Try ${name} again`} onClick={() => resumeUpload(key)}>
              Try again
            </Button>
          )}
          <Button
            icon="close"
            label={`${isUnderWay(sending) ? "Cancel" : "Dismiss"} ${name}`}
            onClick={isUnderWay(sending) ? onCancel : () => forgetUpload(key)}
          >
            {isUnderWay(sending) ? "Cancel" : "Dismiss"}
          </Button>
        </div>
      </header>
      <p class="hint breakable">{file}</p>
      <Progress label={`Sending ${name}`} share={state.offset / size} />
      <p class="work-foot">{footOf(sending)}</p>
      {state.phase === "failed" && <ProblemBox problem={state.problem} />}
    </section>
  );
}

function footOf({ state, size, rate }: Sending): string {
  const parts = [`${bytes(state.offset)} of ${bytes(size)}`];
  if (state.phase === "paused") parts.push("paused");
  if (state.phase === "waiting") parts.push("no connection, goes on by itself");
  if (state.phase === "sending" && rate !== null && rate > 0) {
    parts.push(`${bytes(rate)}/s`, `about ${span((size - state.offset) / rate)} left`);
  }
  return parts.join(" · ");
}
