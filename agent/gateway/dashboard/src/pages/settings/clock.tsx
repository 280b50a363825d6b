import { useEffect, useState } from "preact/hooks";
import * as client from "../../api/client";
import { dateTimeIn } from "../../format/time";
import { tell } from "../../state/notices";
import { useAction, useResource } from "../../state/resource";
import { Button } from "../../ui/button";
import { CheckField, TextField } from "../../ui/field";
import { Facts, Panel } from "../../ui/panel";
import { ProblemBox } from "../../ui/problem";

const ZONES = ["UTC", ...Intl.supportedValuesOf("timeZone")];

/** Time zone and where the time comes from. */
export function ClockPanel() {
  const clock = useResource(client.clock);
  const saving = useAction();
  const [timezone, setTimezone] = useState("");
  const [isNtp, setNtp] = useState(true);
  const now = clock.value;
  useEffect(() => {
    if (now === null) return;
    setTimezone(now.timezone);
    setNtp(now.ntp);
  }, [now]);

  const isKnown = ZONES.includes(timezone.trim());
  const save = async () => {
    if (await saving.run(() => client.setClock(timezone.trim(), isNtp)))
      tell("The time's settings are saved.");
    await clock.reload();
  };
  return (
    <Panel title="Time">
      <ProblemBox problem={clock.problem ?? saving.problem} />
      {now !== null && (
        <>
          <Facts
            facts={[
              ["The machine's clock", dateTimeIn(now.time, now.timezone)],
              ["Synchronised", now.synchronised === null ? "–" : now.synchronised ? "yes" : "no"],
            ]}
          />
          <form
            onSubmit={(event) => {
              event.preventDefault();
              if (isKnown) void save();
            }}
          >
            <TextField
              label="Time zone"
              value={timezone}
              onInput={setTimezone}
              choices={ZONES}
              error={isKnown ? null : "There is no such time zone."}
            />
            <CheckField label="Set the clock from the network (NTP)" isChecked={isNtp} onChange={setNtp} />
            <Button type="submit" kind="main" isBusy={saving.isBusy} isDisabled={!isKnown}>
              Save
            </Button>
          </form>
        </>
      )}
    </Panel>
  );
}
