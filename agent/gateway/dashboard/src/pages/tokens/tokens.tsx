import { useState } from "preact/hooks";
import * as client from "../../api/client";
import type { Token } from "../../api/contract";
import { date } from "../../format/time";
import { useResource } from "../../state/resource";
import { Button } from "../../ui/button";
import { Empty, PageHead } from "../../ui/panel";
import { Pill } from "../../ui/pill";
import { ProblemBox } from "../../ui/problem";
import { NewTokenDialog } from "./create";
import { RevokeDialog } from "./revoke";

/** Who may come in. `own`: the name of the token that is signed in. */
export function Tokens({ own }: { own: string }) {
  const tokens = useResource(client.tokens);
  const [isMaking, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<Token | null>(null);
  const reload = () => void tokens.reload();
  return (
    <>
      <PageHead title="Tokens">
        <Button kind="main" icon="add" onClick={() => setMaking(true)}>
          New token
        </Button>
      </PageHead>
      <ProblemBox problem={tokens.problem} />
      {tokens.value?.length === 0 && <Empty>There is no token.</Empty>}
      <ul class="rows" aria-label="Tokens" aria-busy={tokens.value === null}>
        {tokens.value?.map((token) => (
          <li key={token.id} class="panel row">
            <div class="row-text">
              <strong class="breakable">{token.name}</strong>
              <span class="hint">
                {token.created === null ? "Provided from outside" : `Made on ${date(token.created)}`}
              </span>
            </div>
            <Pill tone={token.role === "admin" ? "warn" : "plain"}>{token.role}</Pill>
            <Button kind="danger" label={`Revoke ${token.name}`} onClick={() => setRevoking(token)}>
              Revoke
            </Button>
          </li>
        ))}
      </ul>
      {isMaking && <NewTokenDialog onClose={() => setMaking(false)} onMade={reload} />}
      {revoking !== null && (
        <RevokeDialog
          token={revoking}
          isOwn={revoking.name === own}
          onClose={() => setRevoking(null)}
          onRevoked={reload}
        />
      )}
    </>
  );
}
