import { useEffect, useState } from "preact/hooks";
import { span } from "../../format/time";
import { connectionVersion } from "../../state/live";
import { tell } from "../../state/notices";
import { useAction } from "../../state/resource";
import { useStore } from "../../state/store";
import { confirmTrial, reloadTrial, trial } from "../../state/trial";
import { Button } from "../../ui/button";
import { ProblemBox } from "../../ui/problem";

/** Asks on every page whether a change of the network works. Whoever can read it has reached the machine. */
export function NetworkTrial() {
  const known = useStore(trial);
  const connection = useStore(connectionVersion);
  const asking = useAction();
  const { run } = asking;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new connection may be one to the new address
  useEffect(() => void run(reloadTrial), [run, connection]);
  if (known === null) return null;
  const confirm = async () => {
    if (await asking.run(() => confirmTrial(known))) tell("The network stays as it is now.");
  };
  return (
    <section class="trial" aria-label="Change of the network on trial">
      <p>
        <strong>The network was changed.</strong> If this page still works, keep the change.{" "}
        <Countdown until={known.until} onEnd={() => void asking.run(reloadTrial)} />
      </p>
      <ProblemBox problem={asking.problem} />
      <Button kind="main" isBusy={asking.isBusy} onClick={() => void confirm()}>
        Keep it
      </Button>
    </section>
  );
}

function Countdown({ until, onEnd }: { until: number; onEnd: () => void }) {
  const [left, setLeft] = useState(() => secondsTo(until));
  // biome-ignore lint/correctness/useExhaustiveDependencies: it counts to one instant
  useEffect(() => {
    const timer = setInterval(() => {
      setLeft(secondsTo(until));
      if (secondsTo(until) > 0) return;
      clearInterval(timer);
      onEnd();
    }, 1_000);
    return () => clearInterval(timer);
  }, [until]);
  return <span>{left > 0 ? `Otherwise it is taken back in ${span(left)}.` : "It is being taken back."}</span>;
}

function secondsTo(instant: number): number {
  return (instant - Date.now()) / 1000;
}
