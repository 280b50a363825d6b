import { useEffect, useState } from "preact/hooks";
import * as client from "../../api/client";
import { asProblem, type Problem } from "../../api/problem";
import { type History, historyOf, withSample } from "../../samples/history";
import { connectionVersion, engine, newestSample } from "../../state/live";
import { useStore } from "../../state/store";

/** Rows that come each second fit a history of such steps. */
const LIVE_STEP = 1;
/** A coarser history is read again for each of its steps, but not more often. */
const LEAST_REREAD_MS = 10_000;

/** The history of a span in seconds, and how it goes on. */
export function useHistory(span: number): { history: History | null; problem: Problem | null } {
  const [history, setHistory] = useState<History | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const connection = useStore(connectionVersion);
  const isLive = history !== null && history.step <= LIVE_STEP;
  const step = history?.step;

  // biome-ignore lint/correctness/useExhaustiveDependencies: after a lost connection rows are missing
  useEffect(() => {
    let isWanted = true;
    const read = async () => {
      try {
        const told = historyOf(await client.samples(span), span);
        if (isWanted) setHistory(told);
        if (isWanted) setProblem(null);
      } catch (thrown) {
        const reason = asProblem(thrown);
        // A lost connection is told above every page, and a new one reads the history again.
        if (isWanted && reason.status !== 0) setProblem(reason);
      }
    };
    void read();
    const reread = step !== undefined && step > LIVE_STEP ? Math.max(step * 1000, LEAST_REREAD_MS) : null;
    const timer = reread === null ? undefined : setInterval(() => document.hidden || void read(), reread);
    return () => {
      isWanted = false;
      clearInterval(timer);
    };
  }, [span, connection, step]);

  useEffect(() => {
    if (!isLive) return;
    return newestSample.subscribe(() => {
      const sample = newestSample.value;
      if (sample === null) return;
      setHistory((known) => known && withSample(known, sample, engine.value?.phase ?? null));
    });
  }, [isLive]);

  return { history: history?.span === span ? history : null, problem };
}
