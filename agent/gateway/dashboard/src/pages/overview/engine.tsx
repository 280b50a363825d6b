import * as client from "../../api/client";
import type { Engine, Role } from "../../api/contract";
import { count, rate } from "../../format/units";
import { engine } from "../../state/live";
import { useAction } from "../../state/resource";
import { mayDo } from "../../state/session";
import { useStore } from "../../state/store";
import { Button } from "../../ui/button";
import { Facts, Panel } from "../../ui/panel";
import { Pill } from "../../ui/pill";
import { ProblemBox } from "../../ui/problem";

/** What the states mean to somebody who does not know them. */
const MEANINGS: Record<Engine["state"], string> = {
  stopped: "Stopped: it starts by itself with the next question.",
  loading: "A model is being loaded.",
  ready: "Ready to answer.",
  parked: "Parked: its memory is given back until the next question.",
};

/** What the engine is doing, without waking it. */
export function EnginePanel({ role }: { role: Role }) {
  const now = useStore(engine);
  const unloading = useAction();
  const canUnload = mayDo(role, "chat") && now !== null && (now.state === "ready" || now.state === "parked");
  return (
    <Panel
      title="Engine"
      actions={
        canUnload && (
          <Button isBusy={unloading.isBusy} onClick={() => void unloading.run(client.unload)}>
            Unload the model
          </Button>
        )
      }
    >
      <ProblemBox problem={unloading.problem} />
      <p class="engine-line">
        {now === null ? "–" : MEANINGS[now.state]}{" "}
        {now !== null && now.phase !== "idle" && <Pill>{now.phase}</Pill>}
      </p>
      <Facts
        facts={[
          ["Model", now?.model ?? "–"],
          ["Answering", count(now?.active)],
          ["Waiting", count(now?.queued)],
          ["Speed", rate(now?.tokens_per_second)],
        ]}
      />
    </Panel>
  );
}
