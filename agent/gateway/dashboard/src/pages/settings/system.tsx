import { useState } from "preact/hooks";
import type { SystemAction } from "../../api/client";
import * as client from "../../api/client";
import { machine } from "../../state/machine";
import { tell } from "../../state/notices";
import { useAction } from "../../state/resource";
import { useStore } from "../../state/store";
import { Button } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { TextField } from "../../ui/field";
import { Panel } from "../../ui/panel";
import { ProblemBox } from "../../ui/problem";

interface ActionText {
  name: string;
  question: string;
  consequence: string;
  done: string;
}

const ACTIONS: Record<SystemAction, ActionText> = {
  reboot: {
    name: "Restart",
    question: "Restart this machine?",
    consequence: "Answers that are being written break off. It is back in a minute or two.",
    done: "The machine restarts.",
  },
  "power-off": {
    name: "Power off",
    question: "Switch this machine off?",
    consequence: "Answers that are being written break off. It can only be switched on again by its button.",
    done: "The machine switches itself off.",
  },
  "factory-reset": {
    name: "Factory reset",
    question: "Forget everything?",
    consequence:
      "All models that were added, all tokens, settings, SSH keys and conversations are deleted, those on the drive CONFIG too: Wi-Fi and fixed addresses are forgotten. This cannot be undone. The machine starts anew, with another certificate, and shows a new first token on its screen.",
    done: "The machine resets itself.",
  },
};

const NAMES = Object.keys(ACTIONS) as SystemAction[];

/** What ends everything that is under way. */
export function SystemPanel() {
  const [asked, setAsked] = useState<SystemAction | null>(null);
  return (
    <Panel title="System">
      <div class="actions">
        {NAMES.map((action) => (
          <Button key={action} kind="danger" onClick={() => setAsked(action)}>
            {ACTIONS[action].name}…
          </Button>
        ))}
      </div>
      {asked !== null && <SystemDialog action={asked} onClose={() => setAsked(null)} />}
    </Panel>
  );
}

/** The host's name must be typed: it is the one thing that tells this machine from another tab's. */
function SystemDialog({ action, onClose }: { action: SystemAction; onClose: () => void }) {
  const hostname = useStore(machine)?.hostname ?? null;
  const [typed, setTyped] = useState("");
  const acting = useAction();
  const text = ACTIONS[action];
  const isConfirmed = hostname !== null && typed.trim() === hostname;
  const act = async () => {
    const isDone = await acting.run(() => client.system(action, typed.trim()));
    if (!isDone) return;
    tell(text.done);
    onClose();
  };
  return (
    <Dialog title={text.question} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (isConfirmed) void act();
        }}
      >
        <p>{text.consequence}</p>
        <TextField
          label={`To confirm, type the host's name: ${hostname ?? "–"}`}
          value={typed}
          onInput={setTyped}
        />
        <ProblemBox problem={acting.problem} />
        <div class="actions end">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="danger" type="submit" isBusy={acting.isBusy} isDisabled={!isConfirmed}>
            {text.name}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
