import { useState } from "preact/hooks";
import * as client from "../../api/client";
import type { ModelChange, StoredModel } from "../../api/contract";
import { count } from "../../format/units";
import { tell } from "../../state/notices";
import { useAction } from "../../state/resource";
import { Button } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { CheckField, TextField } from "../../ui/field";
import { ProblemBox } from "../../ui/problem";
import { type Read, readKeepAlive, readTokens } from "./setting-values";

/** What is set for one model alone. */
export function SettingsDialog(props: { model: StoredModel; onClose: () => void; onChanged: () => void }) {
  const { model, onClose, onChanged } = props;
  const [keepAlive, setKeepAlive] = useState(String(model.settings.keep_alive ?? ""));
  const [context, setContext] = useState(String(model.settings.context ?? ""));
  const [isPinned, setPinned] = useState(model.settings.pin);
  const saving = useAction();

  const wantedKeepAlive = readKeepAlive(keepAlive);
  const wantedContext = readTokens(context, model.context);
  const isBad = wantedKeepAlive.error !== null || wantedContext.error !== null;
  const save = () =>
    saving.run(async () => {
      const change: ModelChange = {
        keep_alive: given(wantedKeepAlive),
        context: given(wantedContext),
        pin: isPinned,
      };
      await client.changeModel(model.id, change);
      tell(`The settings of ${model.id} are saved.`);
      onClose();
      onChanged();
    });
  return (
    <Dialog title={`Settings of ${model.id}`} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!isBad) void save();
        }}
      >
        <TextField
          label="Stay loaded after an answer for"
          value={keepAlive}
          onInput={setKeepAlive}
          error={wantedKeepAlive.error}
          hint="Such as 30s, 5m or 1h30m, or a number of seconds. 0 unloads at once, −1 never. Empty: the appliance's own."
        />
        <TextField
          label="Context, in tokens"
          value={context}
          onInput={setContext}
          error={wantedContext.error}
          hint={`Less takes less memory. ${model.context === null ? "" : `It was trained with ${count(model.context)}. `}Empty: as much as fits.`}
        />
        <CheckField
          label="Pin it"
          isChecked={isPinned}
          onChange={setPinned}
          hint="It is never parked while nothing is asked, and takes memory all the time."
        />
        <ProblemBox problem={saving.problem} />
        <div class="actions end">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="main" type="submit" isBusy={saving.isBusy} isDisabled={isBad}>
            Save
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function given<T>(read: Read<T>): T | null {
  return read.error === null ? read.value : null;
}
