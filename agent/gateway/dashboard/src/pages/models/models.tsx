import { useEffect, useState } from "preact/hooks";
import * as client from "../../api/client";
import type { Job, Role, StoredModel } from "../../api/contract";
import { engine, jobs, modelsVersion } from "../../state/live";
import { useResource } from "../../state/resource";
import { mayDo } from "../../state/session";
import { useStore } from "../../state/store";
import { uploads } from "../../state/uploads";
import { Button } from "../../ui/button";
import { Empty, PageHead } from "../../ui/panel";
import { ProblemBox } from "../../ui/problem";
import { AddDialog } from "./add";
import { Jobs } from "./jobs";
import { ModelCard } from "./model";
import { Sendings } from "./sendings";

/** The models on the appliance's disk, and what is being done to them. */
export function Models({ role }: { role: Role }) {
  const models = useResource(client.models);
  const [isAdding, setAdding] = useState(false);
  const version = useStore(modelsVersion);
  const now = useStore(engine);
  const sendings = useStore(uploads);
  const work = useStore(jobs).filter(isOfModels);
  const { reload } = models;
  const ended = work.filter((job) => job.state !== "running").length;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the list is read anew when it may be another one
  useEffect(() => void reload(), [reload, version, ended]);

  const isAdmin = mayDo(role, "admin");
  return (
    <>
      <PageHead title="Models">
        {isAdmin && (
          <Button kind="main" icon="add" onClick={() => setAdding(true)}>
            Add a model
          </Button>
        )}
      </PageHead>
      <ProblemBox problem={models.problem} />
      <Sendings list={sendings} />
      <Jobs list={work.filter((job) => !isShownBy(job, models.value))} mayCancel={isAdmin} />
      {models.value?.length === 0 && <Empty>There is no model on this machine yet.</Empty>}
      <ul class="models" aria-label="Models" aria-busy={models.value === null}>
        {models.value?.map((model) => (
          <li key={model.id}>
            <ModelCard
              model={model}
              engine={now}
              role={role}
              verifications={work.filter((job) => isVerification(job, model))}
              onChanged={() => void reload()}
            />
          </li>
        ))}
      </ul>
      {isAdding && (
        <AddDialog taken={models.value?.map(({ id }) => id) ?? []} onClose={() => setAdding(false)} />
      )}
    </>
  );
}

function isOfModels(job: Job): boolean {
  return job.kind.startsWith("model.");
}

/** Whether a job is shown by the model that it is about. */
function isShownBy(job: Job, models: StoredModel[] | null): boolean {
  return models?.some((model) => isVerification(job, model)) === true;
}

function isVerification(job: Job, model: StoredModel): boolean {
  return job.kind === "model.verify" && job.subject === model.id;
}
