import { useState } from "preact/hooks";
import { isPart, MODEL_NAME, nameFromFile } from "../../format/names";
import { bytes } from "../../format/units";
import { addUpload } from "../../state/uploads";
import { Button } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { FileField, TextField } from "../../ui/field";

/** Asks for a model's file and name, and begins to send it. */
export function AddDialog({ taken, onClose }: { taken: string[]; onClose: () => void }) {
  const [file, setFile] = useState<File | null>(null);
  const [name, setName] = useState("");
  const [isAsked, setAsked] = useState(false);

  const choose = (chosen: File | null) => {
    setFile(chosen);
    if (chosen !== null) setName(nameFromFile(chosen.name));
  };
  const wrongFile = file === null ? "Choose a file." : fileError(file);
  const wrongName = nameError(name, taken);
  const submit = () => {
    setAsked(true);
    if (file === null || wrongFile !== null || wrongName !== null) return;
    addUpload(name, file);
    onClose();
  };
  return (
    <Dialog title="Add a model" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <FileField
          label="GGUF file"
          accept=".gguf"
          onChoose={choose}
          hint={
            file === null
              ? "It is sent in parts: it can be paused, and goes on after a lost connection."
              : `${bytes(file.size)}. If it was begun before, it goes on where it was.`
          }
          error={isAsked || file !== null ? wrongFile : null}
        />
        <TextField
          label="Name"
          value={name}
          onInput={setName}
          error={isAsked || name !== "" ? wrongName : null}
          hint="What requests call it: letters, digits, dots, dashes and underscores."
        />
        <div class="actions end">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="main" type="submit">
            Send it
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

function fileError(file: File): string | null {
  if (file.size === 0) return "This file is empty.";
  return isPart(file.name)
    ? "This is a part of a model. All parts together can be added by “hearth model add” over SSH."
    : null;
}

function nameError(name: string, taken: string[]): string | null {
  if (!MODEL_NAME.test(name)) return "Write a name that begins with a letter or a digit, without spaces.";
  return taken.includes(name) ? "There is a model of this name already." : null;
}
