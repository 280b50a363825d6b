import { useCallback, useEffect, useState } from "preact/hooks";
import { type LogFilter, logQuery, logs } from "../../api/client";
import type { LogEntry } from "../../api/contract";
import { follow } from "../../api/follow";
import { asProblem, type Problem } from "../../api/problem";
import { whileSeen } from "../../state/seen";

const LINES = 200;
/** Older entries leave the page, so that a chatty machine does not fill the browser. */
const MOST_ENTRIES = 2_000;
/** Typing is over when nothing was typed for so long. */
const SETTLED_MS = 300;

/** An entry with a number of its own, by which it stays itself while others come and go. */
export interface Numbered extends LogEntry {
  number: number;
}

interface LogView {
  /** Oldest first; `null` until they are there. */
  entries: Numbered[] | null;
  problem: Problem | null;
  reload: () => void;
}

/** The entries that pass a filter: once, or as they come. */
export function useLogs(filter: LogFilter, isFollowing: boolean): LogView {
  const [entries, setEntries] = useState<Numbered[] | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [version, setVersion] = useState(0);
  const reload = useCallback(() => setVersion((known) => known + 1), []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new version is read anew
  useEffect(() => {
    const read = isFollowing ? followLogs : readOnce;
    let stop = () => {};
    const timer = setTimeout(() => {
      stop = whileSeen((signal) => void read(filter, signal, { setEntries, setProblem }));
    }, SETTLED_MS);
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, [filter, isFollowing, version]);

  return { entries, problem, reload };
}

let lastNumber = 0;

function numbered(entry: LogEntry): Numbered {
  lastNumber += 1;
  return { ...entry, number: lastNumber };
}

interface Sink {
  setEntries: (change: (known: Numbered[] | null) => Numbered[] | null) => void;
  setProblem: (problem: Problem | null) => void;
}

async function readOnce(filter: LogFilter, signal: AbortSignal, sink: Sink): Promise<void> {
  try {
    const read = await logs(filter, LINES);
    if (signal.aborted) return;
    sink.setEntries(() => read.map(numbered));
    sink.setProblem(null);
  } catch (thrown) {
    if (!signal.aborted) sink.setProblem(asProblem(thrown));
  }
}

/** A stream begins with the newest entries that there are, each time that it is connected. */
async function followLogs(filter: LogFilter, signal: AbortSignal, sink: Sink): Promise<void> {
  const follower = {
    onEvent: ({ data }: { data: string }) => {
      const entry = numbered(JSON.parse(data) as LogEntry);
      sink.setEntries((known) => [...(known ?? []), entry].slice(-MOST_ENTRIES));
    },
    onConnection: (now: { state: string; problem?: Problem }) => {
      if (now.state === "live") sink.setEntries(() => []);
      sink.setProblem(now.problem ?? null);
    },
  };
  await follow(logQuery(filter, LINES, true), follower, signal);
}
