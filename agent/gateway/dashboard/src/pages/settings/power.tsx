import { useState } from "preact/hooks";
import * as client from "../../api/client";
import type { Hold, PowerProfile } from "../../api/contract";
import { secondsUntil, span } from "../../format/time";
import { machine } from "../../state/machine";
import { tell } from "../../state/notices";
import { type Action, useAction, useResource } from "../../state/resource";
import { useStore } from "../../state/store";
import { Button } from "../../ui/button";
import { Segments, SelectField, TextField } from "../../ui/field";
import { Panel } from "../../ui/panel";
import { ProblemBox } from "../../ui/problem";

const PROFILES: readonly { value: PowerProfile; text: string }[] = [
  { value: "power-saver", text: "Quiet" },
  { value: "balanced", text: "Balanced" },
  { value: "performance", text: "Fast" },
];

const LONGEST_REASON = 200;

/** The power profile, and who holds another one for a while. */
export function PowerPanel() {
  const power = useResource(client.power);
  const action = useAction();
  const [wanted, setWanted] = useState<PowerProfile | null>(null);
  const now = power.value;
  const act = async (work: () => Promise<void>, done: string) => {
    const isDone = await action.run(work);
    if (isDone) tell(done);
    await power.reload();
    return isDone;
  };
  const choose = async (profile: PowerProfile) => {
    setWanted(profile);
    await act(() => client.setProfile(profile), `The profile is ${profile}.`);
    setWanted((latest) => (latest === profile ? null : latest));
  };
  return (
    <Panel title="Power">
      <ProblemBox problem={power.problem ?? action.problem} />
      {now !== null && (
        <>
          <Segments
            legend="Profile"
            value={wanted ?? now.profile}
            options={PROFILES}
            onChange={(profile) => void choose(profile)}
          />
          {now.effective_profile !== now.profile && (
            <p class="hint">In force is {now.effective_profile}, because of a hold or the battery.</p>
          )}
          <Holds
            holds={now.holds}
            onRelease={(id) => void act(() => client.releaseHold(id), "The hold is released.")}
          />
          <NewHold
            action={action}
            onHold={(...hold) => act(() => client.hold(...hold), "The profile is held.")}
          />
        </>
      )}
    </Panel>
  );
}

function Holds({ holds, onRelease }: { holds: Hold[]; onRelease: (id: number) => void }) {
  const uptime = useStore(machine)?.uptime_seconds ?? null;
  if (holds.length === 0) return null;
  return (
    <>
      <h3>Holds in force</h3>
      <ul class="rows">
        {holds.map(({ id, profile, reason, holder, until_usec }) => (
          <li key={id} class="row">
            <div class="row-text">
              <strong>{profile}</strong>
              <span class="hint breakable">
                {holder}: {reason}
                {until_usec !== null &&
                  uptime !== null &&
                  ` · ${span(secondsUntil(until_usec, uptime))} left`}
              </span>
            </div>
            <Button label={`Release the hold ${reason}`} onClick={() => onRelease(id)}>
              Release
            </Button>
          </li>
        ))}
      </ul>
    </>
  );
}

const SPANS = [
  { value: "1800", text: "30 minutes" },
  { value: "7200", text: "2 hours" },
  { value: "28800", text: "8 hours" },
  { value: "", text: "Until it is released" },
] as const;

const HELD = [
  { value: "power-saver", text: "Quiet" },
  { value: "performance", text: "Fast" },
] as const;

interface NewHoldProps {
  action: Action;
  onHold: (profile: PowerProfile, reason: string, seconds: number | null) => Promise<boolean>;
}

function NewHold({ action, onHold }: NewHoldProps) {
  const [profile, setProfile] = useState<(typeof HELD)[number]["value"]>("power-saver");
  const [reason, setReason] = useState("");
  const [seconds, setSeconds] = useState<(typeof SPANS)[number]["value"]>("1800");
  const canHold = reason.trim() !== "";
  const submit = async () => {
    const isDone = await onHold(profile, reason.trim(), seconds === "" ? null : Number(seconds));
    if (isDone) setReason("");
  };
  return (
    <details>
      <summary>Hold a profile for a while</summary>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (canHold) void submit();
        }}
      >
        <SelectField label="Hold" value={profile} options={HELD} onChange={setProfile} />
        <SelectField label="For" value={seconds} options={SPANS} onChange={setSeconds} />
        <TextField
          label="Reason"
          value={reason}
          onInput={setReason}
          maxLength={LONGEST_REASON}
          hint="Others see it."
        />
        <Button type="submit" isBusy={action.isBusy} isDisabled={!canHold}>
          Hold it
        </Button>
      </form>
    </details>
  );
}
