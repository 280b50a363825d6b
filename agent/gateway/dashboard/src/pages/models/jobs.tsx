import { useState } from "preact/hooks";
import * as client from "../../api/client";
import type { Job, JobProgress, Verification } from "../../api/contract";
import { fromBody } from "../../api/problem";
import { bytes, count, counted } from "../../format/units";
import { current, type SeenJob } from "../../state/live";
import { useAction } from "../../state/resource";
import { Button } from "../../ui/button";
import { ProblemBox } from "../../ui/problem";
import { Progress } from "../../ui/progress";

const KINDS: Record<string, string> = { "model.add": "Adding", "model.verify": "Verifying" };

interface JobsProps {
  list: SeenJob[];
  mayCancel: boolean;
}

/** Long work on models: what is under way, and what came out of it a moment ago. */
export function Jobs({ list, mayCancel }: JobsProps) {
  const [dismissed, setDismissed] = useState<string[]>([]);
  const shown = current(list, Date.now()).filter((job) => !dismissed.includes(job.id));
  return (
    <>
      {shown.map((job) => (
        <JobView
          key={job.id}
          job={job}
          mayCancel={mayCancel}
          onDismiss={() => setDismissed((known) => [...known, job.id])}
        />
      ))}
    </>
  );
}

interface JobViewProps {
  job: Job;
  mayCancel: boolean;
  onDismiss: () => void;
}

function JobView({ job, mayCancel, onDismiss }: JobViewProps) {
  const cancelling = useAction();
  const title = `${KINDS[job.kind] ?? job.kind} ${job.subject ?? ""}`.trim();
  const isRunning = job.state === "running";
  return (
    <section class="panel work" aria-label={title}>
      <header class="panel-head">
        <h2 class="breakable">{title}</h2>
        {isRunning && mayCancel && (
          <Button
            icon="close"
            isBusy={cancelling.isBusy}
            label={`Cancel: ${title}`}
            onClick={() => void cancelling.run(() => client.cancelJob(job.id))}
          >
            Cancel
          </Button>
        )}
        {!isRunning && (
          <Button icon="close" label={`Dismiss: ${title}`} onClick={onDismiss}>
            Dismiss
          </Button>
        )}
      </header>
      {isRunning && <Progress label={title} share={shareOf(job.progress)} />}
      {isRunning && <p class="work-foot">{progressWords(job.progress)}</p>}
      <div role="status">
        <Outcome job={job} />
      </div>
      <ProblemBox problem={cancelling.problem} />
    </section>
  );
}

function shareOf(progress: JobProgress | null): number | null {
  return progress === null || progress.total <= 0 ? null : progress.done / progress.total;
}

function progressWords(progress: JobProgress | null): string {
  if (progress === null) return "Beginning…";
  const words = progress.unit === "bytes" ? bytes : count;
  const unit = progress.unit === "bytes" ? "" : ` ${progress.unit}`;
  return `${words(progress.done)} of ${words(progress.total)}${unit}`;
}

function Outcome({ job }: { job: Job }) {
  switch (job.state) {
    case "running":
      return null;
    case "cancelled":
      return <p>Cancelled. Nothing has changed.</p>;
    case "failed":
      return job.problem === null ? <p>It has failed.</p> : <ProblemBox problem={fromBody(job.problem)} />;
    case "done":
      return job.kind === "model.verify" ? <Verified outcome={job.result as Verification} /> : <p>Done.</p>;
  }
}

function Verified({ outcome }: { outcome: Verification }) {
  if (outcome.damaged.length === 0) {
    return (
      <p>
        Whole: {counted(outcome.blocks, "block")} read, {bytes(outcome.stored)}.
      </p>
    );
  }
  return (
    <div class="field-error">
      <p>
        {counted(outcome.damaged.length, "block")} of {count(outcome.blocks)} damaged. Delete the model and
        add it again.
      </p>
      <ul>
        {outcome.damaged.map(({ block, problem, tensors }) => (
          <li key={block}>
            Block {block}: {problem} {tensors.length > 0 && `(${tensors.join(", ")})`}
          </li>
        ))}
      </ul>
    </div>
  );
}
