import * as client from "../../api/client";
import type { Token } from "../../api/contract";
import { tell } from "../../state/notices";
import { useAction } from "../../state/resource";
import { Button } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { ProblemBox } from "../../ui/problem";

interface RevokeDialogProps {
  token: Token;
  /** Whether it has the name of the token that is signed in. */
  isOwn: boolean;
  onClose: () => void;
  onRevoked: () => void;
}

/** Asks whether a token is really to go. */
export function RevokeDialog({ token, isOwn, onClose, onRevoked }: RevokeDialogProps) {
  const revoking = useAction();
  const revoke = () =>
    revoking.run(async () => {
      const revoked = await client.revokeToken(token.id);
      tell([`${revoked.name} is revoked.`, revoked.note].filter(Boolean).join(" "));
      onClose();
      onRevoked();
    });
  return (
    <Dialog title="Revoke this token?" onClose={onClose}>
      <p>
        Whatever uses <strong class="breakable">{token.name}</strong> is locked out at once.
      </p>
      {isOwn && <p class="field-error">It has the name of the token that you are signed in with.</p>}
      <ProblemBox problem={revoking.problem} />
      <div class="actions end">
        <Button onClick={onClose}>Keep it</Button>
        <Button kind="danger" isBusy={revoking.isBusy} onClick={() => void revoke()}>
          Revoke it
        </Button>
      </div>
    </Dialog>
  );
}
