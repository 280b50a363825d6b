import { useState } from "preact/hooks";
import * as client from "../../api/client";
import type { Engine, Role, StoredModel } from "../../api/contract";
import { dateTime } from "../../format/time";
import { bytes, count, parameters } from "../../format/units";
import { hearOf, type SeenJob } from "../../state/live";
import { tell } from "../../state/notices";
import { useAction } from "../../state/resource";
import { mayDo } from "../../state/session";
import { Button } from "../../ui/button";
import { Facts } from "../../ui/panel";
import { Pill } from "../../ui/pill";
import { ProblemBox } from "../../ui/problem";
import { Jobs } from "./jobs";
import { RemoveDialog } from "./remove";
import { SettingsDialog } from "./settings";

interface ModelCardProps {
  model: StoredModel;
  engine: Engine | null;
  role: Role;
  /** Newest first. */
  verifications: SeenJob[];
  onChanged: () => void;
}

/** One model: what it is, how it fares, what can be done with it. */
export function ModelCard({ model, engine, role, verifications, onChanged }: ModelCardProps) {
  const [open, setOpen] = useState<"settings" | "remove" | null>(null);
  const action = useAction();
  const isLoaded = engine?.model === model.id && engine.state === "ready";
  const quarantine = engine?.quarantined.find((entry) => entry.model === model.id);
  const isVerifying = verifications.some((job) => job.state === "running");
  const close = () => setOpen(null);
  const act = (work: () => Promise<unknown>, done: string) =>
    void action.run(async () => {
      await work();
      tell(done);
      onChanged();
    });

  const verify = async () => {
    hearOf(await client.verifyModel(model.id));
  };

  return (
    <article class="panel model" aria-label={model.id}>
      <header class="panel-head">
        <h2 class="model-name">{model.id}</h2>
        <div class="pills">
          {model.settings.default && <Pill tone="good">default</Pill>}
          {isLoaded && <Pill tone="good">loaded</Pill>}
          {model.settings.pin && <Pill>pinned</Pill>}
          {model.place === "image" && <Pill>in the image</Pill>}
          {quarantine !== undefined && <Pill tone="bad">quarantine</Pill>}
          {model.problem !== null && <Pill tone="bad">cannot be read</Pill>}
        </div>
      </header>
      {model.name !== null && model.name !== model.id && <p class="model-title">{model.name}</p>}
      {model.problem !== null && <p class="field-error">{model.problem}</p>}
      {quarantine !== undefined && (
        <p class="quarantine">
          Not loaded since {dateTime(quarantine.since)}: {quarantine.reason}
        </p>
      )}
      <Facts
        facts={[
          ["Parameters", parameters(model.parameters)],
          ["Kind", [model.family, model.kind].filter(Boolean).join(", ") || "–"],
          ["Context", model.context === null ? "–" : `${count(model.context)} tokens`],
          ["Size", bytes(model.bytes)],
          ["On disk", bytes(model.stored)],
        ]}
      />
      <Jobs list={verifications.slice(0, 1)} mayCancel={mayDo(role, "admin")} />
      <ProblemBox problem={action.problem} />
      <div class="actions">
        {mayDo(role, "chat") && !isLoaded && quarantine === undefined && model.problem === null && (
          <Button
            isBusy={action.isBusy}
            label={`Load ${model.id}`}
            onClick={() => act(() => client.load(model.id), `${model.id} is being loaded.`)}
          >
            Load
          </Button>
        )}
        {mayDo(role, "admin") && (
          <>
            {quarantine !== undefined && (
              <Button
                isBusy={action.isBusy}
                label={`Release ${model.id} from quarantine`}
                onClick={() => act(() => client.releaseModel(model.id), `${model.id} may be loaded again.`)}
              >
                Release
              </Button>
            )}
            {!model.settings.default && model.problem === null && (
              <Button
                isBusy={action.isBusy}
                label={`Make default: ${model.id}`}
                onClick={() =>
                  act(() => client.changeModel(model.id, { default: true }), `${model.id} is the default.`)
                }
              >
                Make default
              </Button>
            )}
            <Button label={`Settings of ${model.id}`} onClick={() => setOpen("settings")}>
              Settings
            </Button>
            <Button
              isBusy={isVerifying || action.isBusy}
              label={`Verify ${model.id}`}
              onClick={() => void action.run(verify)}
            >
              Verify
            </Button>
            {model.place === "added" && (
              <Button kind="danger" label={`Delete ${model.id}`} onClick={() => setOpen("remove")}>
                Delete
              </Button>
            )}
          </>
        )}
      </div>
      {open === "settings" && <SettingsDialog model={model} onClose={close} onChanged={onChanged} />}
      {open === "remove" && <RemoveDialog model={model} onClose={close} onChanged={onChanged} />}
    </article>
  );
}
