import { useEffect, useState } from "preact/hooks";
import * as client from "../../api/client";
import { milliCelsius } from "../../format/units";
import { tell } from "../../state/notices";
import { useAction, useResource } from "../../state/resource";
import { Button } from "../../ui/button";
import { TextField } from "../../ui/field";
import { Panel } from "../../ui/panel";
import { ProblemBox } from "../../ui/problem";

/** The temperature that the machine holds. */
export function TargetPanel() {
  const thermal = useResource(client.thermal);
  const saving = useAction();
  const [degrees, setDegrees] = useState("");
  const now = thermal.value;
  const target = now?.target;
  useEffect(() => {
    if (target !== undefined) setDegrees(String(target / 1000));
  }, [target]);

  const wanted = degrees.trim() === "" ? Number.NaN : Number(degrees);
  const save = async (millidegrees: number | null, done: string) => {
    if (await saving.run(() => client.setTarget(millidegrees))) tell(done);
    await thermal.reload();
  };
  return (
    <Panel title="Heat">
      <ProblemBox problem={thermal.problem ?? saving.problem} />
      {now !== null && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (Number.isFinite(wanted)) void save(Math.round(wanted * 1000), `The target is ${wanted} °C.`);
          }}
        >
          <TextField
            label="Target in °C"
            isNumber
            value={degrees}
            onInput={setDegrees}
            hint={`Lower is cooler and slower. This machine's own is ${milliCelsius(now.target_default)}${
              now.critical === null ? "" : `, it switches itself off at ${milliCelsius(now.critical)}`
            }.`}
          />
          <div class="actions">
            <Button type="submit" kind="main" isBusy={saving.isBusy} isDisabled={!Number.isFinite(wanted)}>
              Set
            </Button>
            {now.target_set !== null && (
              <Button
                isBusy={saving.isBusy}
                onClick={() => void save(null, "The target is the machine's own.")}
              >
                Use the machine's own
              </Button>
            )}
          </div>
        </form>
      )}
    </Panel>
  );
}
