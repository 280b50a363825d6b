import { useState } from "preact/hooks";
import * as client from "../../api/client";
import type { CreatedToken, Role } from "../../api/contract";
import { useAction } from "../../state/resource";
import { Button } from "../../ui/button";
import { CopyButton } from "../../ui/copy";
import { Dialog } from "../../ui/dialog";
import { SelectField, TextField } from "../../ui/field";
import { ProblemBox } from "../../ui/problem";

const LONGEST_NAME = 64;

const ROLES: readonly { value: Role; text: string }[] = [
  { value: "read", text: "read: look at the machine" },
  { value: "chat", text: "chat: ask models, too" },
  { value: "admin", text: "admin: change everything" },
];

/** Makes a token and shows it once. */
export function NewTokenDialog({ onClose, onMade }: { onClose: () => void; onMade: () => void }) {
  const [made, setMade] = useState<CreatedToken | null>(null);
  return made === null ? (
    <Dialog title="New token" onClose={onClose}>
      <NewTokenForm
        onClose={onClose}
        onMade={(token) => {
          setMade(token);
          onMade();
        }}
      />
    </Dialog>
  ) : (
    <Dialog title={`Token ${made.name}`} onClose={onClose}>
      <p>
        Keep it now: it is shown this once and stored nowhere. It may{" "}
        {made.role === "admin" ? "do everything" : made.role}.
      </p>
      <p class="secret">
        <code>{made.secret}</code>
      </p>
      <div class="actions end">
        <CopyButton text={made.secret} label="Copy the token" />
        <Button kind="main" onClick={onClose}>
          I have kept it
        </Button>
      </div>
    </Dialog>
  );
}

function NewTokenForm({ onClose, onMade }: { onClose: () => void; onMade: (token: CreatedToken) => void }) {
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("chat");
  const making = useAction();
  const isNamed = name.trim() !== "";
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (isNamed) void making.run(async () => onMade(await client.createToken(name.trim(), role)));
      }}
    >
      <TextField
        label="Name"
        value={name}
        onInput={setName}
        maxLength={LONGEST_NAME}
        hint="For people: whose or what for, such as laptop or editor."
      />
      <SelectField label="Role" value={role} options={ROLES} onChange={setRole} />
      <ProblemBox problem={making.problem} />
      <div class="actions end">
        <Button onClick={onClose}>Cancel</Button>
        <Button kind="main" type="submit" isBusy={making.isBusy} isDisabled={!isNamed}>
          Make it
        </Button>
      </div>
    </form>
  );
}
