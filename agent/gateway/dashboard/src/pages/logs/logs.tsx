import { useMemo, useRef, useState } from "preact/hooks";
import type { LogFilter } from "../../api/client";
import { clockTime, date } from "../../format/time";
import { counted } from "../../format/units";
import { Button } from "../../ui/button";
import { CheckField, SelectField, TextField } from "../../ui/field";
import { useFollowedEnd } from "../../ui/followed-end";
import { Empty, PageHead } from "../../ui/panel";
import { ProblemBox } from "../../ui/problem";
import { type Numbered, useLogs } from "./use-logs";

const PRIORITIES = [
  { value: "3", text: "Errors" },
  { value: "4", text: "Warnings and errors" },
  { value: "6", text: "All but debugging" },
  { value: "7", text: "Everything" },
] as const;

const NAMES = ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];

/** Hearth's own units; others can be typed. */
const UNITS = ["hearthd.service", "hearth-gateway.service", "hearth-inferd.service", "ssh.service"];

/** The journal. */
export function Logs() {
  const [unit, setUnit] = useState("");
  const [priority, setPriority] = useState<(typeof PRIORITIES)[number]["value"]>("6");
  const [words, setWords] = useState("");
  const [isFollowing, setFollowing] = useState(true);
  const filter = useMemo<LogFilter>(
    () => ({ unit: unit.trim(), priority: Number(priority) }),
    [unit, priority],
  );
  const { entries, problem, reload } = useLogs(filter, isFollowing);
  const shown = entries?.filter((entry) => entry.message.toLowerCase().includes(words.toLowerCase())) ?? null;
  return (
    <>
      <PageHead title="Logs">
        {!isFollowing && (
          <Button icon="again" onClick={reload}>
            Read again
          </Button>
        )}
      </PageHead>
      <form class="filters" onSubmit={(event) => event.preventDefault()} aria-label="Filter">
        <TextField label="Unit" value={unit} onInput={setUnit} choices={UNITS} />
        <SelectField label="Priority" value={priority} options={PRIORITIES} onChange={setPriority} />
        <TextField label="Containing" value={words} onInput={setWords} />
        <CheckField label="Follow" isChecked={isFollowing} onChange={setFollowing} />
      </form>
      <ProblemBox problem={problem} />
      <p class="hint" role="status">
        {shown === null ? "Reading…" : counted(shown.length, "entry", "entries")}
      </p>
      {shown?.length === 0 && <Empty>No entry fits.</Empty>}
      {shown !== null && shown.length > 0 && <Entries entries={shown} isFollowing={isFollowing} />}
    </>
  );
}

function Entries({ entries, isFollowing }: { entries: Numbered[]; isFollowing: boolean }) {
  const element = useRef<HTMLOListElement>(null);
  const onScroll = useFollowedEnd(element, entries.at(-1), isFollowing);
  return (
    <ol class="entries" ref={element} onScroll={onScroll} tabIndex={0} aria-label="Entries, the newest last">
      {entries.map((entry) => (
        <li key={entry.number} class={`entry priority-${entry.priority}`}>
          <time dateTime={entry.time} title={date(entry.time)}>
            {clockTime(entry.time)}
          </time>
          <span class="entry-unit">{entry.unit?.replace(/\.service$/, "") ?? "kernel"}</span>
          <span class="entry-text">
            {entry.priority <= 4 && <strong>{NAMES[entry.priority]}: </strong>}
            {entry.message}
          </span>
        </li>
      ))}
    </ol>
  );
}
