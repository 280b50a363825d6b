import * as client from "../../api/client";
import type { StoredModel } from "../../api/contract";
import { bytes } from "../../format/units";
import { tell } from "../../state/notices";
import { useAction } from "../../state/resource";
import { Button } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { ProblemBox } from "../../ui/problem";

/** Asks whether a model is really to go. */
export function RemoveDialog(props: { model: StoredModel; onClose: () => void; onChanged: () => void }) {
  const { model, onClose, onChanged } = props;
  const removing = useAction();
  const remove = () =>
    removing.run(async () => {
      const removed = await client.removeModel(model.id);
      tell(
        [`${removed.id} is deleted, ${bytes(removed.freed)} are free.`, removed.note]
          .filter(Boolean)
          .join(" "),
      );
      onClose();
      onChanged();
    });
  return (
    <Dialog title="Delete this model?" onClose={onClose}>
      <p>
        <strong class="breakable">{model.id}</strong> is taken off the disk. It has {bytes(model.stored)}{" "}
        there. To use it again it must be added again.
      </p>
      <ProblemBox problem={removing.problem} />
      <div class="actions end">
        <Button onClick={onClose}>Keep it</Button>
        <Button kind="danger" isBusy={removing.isBusy} onClick={() => void remove()}>
          Delete it
        </Button>
      </div>
    </Dialog>
  );
}
