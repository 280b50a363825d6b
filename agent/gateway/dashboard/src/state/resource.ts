import { useCallback, useEffect, useState } from "preact/hooks";
import { asProblem, type Problem } from "../api/problem";
import { isAbort } from "../api/request";

/** Something that is read from the appliance: the newest that is known, and why there is no newer. */
export interface Resource<T> {
  value: T | null;
  problem: Problem | null;
  reload: () => Promise<void>;
}

/** Reads something when the component appears and whenever `read` changes; again every so often if that is given. */
export function useResource<T>(read: () => Promise<T>, everyMs?: number): Resource<T> {
  const [value, setValue] = useState<T | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);

  const reload = useCallback(async () => {
    try {
      const answer = await read();
      setValue(() => answer);
      setProblem(null);
    } catch (thrown) {
      setProblem(asProblem(thrown));
    }
  }, [read]);

  useEffect(() => {
    void reload();
    if (everyMs === undefined) return;
    const timer = setInterval(() => document.hidden || void reload(), everyMs);
    return () => clearInterval(timer);
  }, [reload, everyMs]);

  return { value, problem, reload };
}

/** Something that people do: whether it is under way, and why it failed. */
export interface Action {
  isBusy: boolean;
  problem: Problem | null;
  /** Does it; returns whether it was done. */
  run: (work: () => Promise<void>) => Promise<boolean>;
  forget: () => void;
}

export function useAction(): Action {
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const run = useCallback(async (work: () => Promise<void>) => {
    setBusy(true);
    setProblem(null);
    try {
      await work();
      return true;
    } catch (thrown) {
      if (!isAbort(thrown)) setProblem(asProblem(thrown));
      return false;
    } finally {
      setBusy(false);
    }
  }, []);
  const forget = useCallback(() => setProblem(null), []);
  return { isBusy, problem, run, forget };
}
