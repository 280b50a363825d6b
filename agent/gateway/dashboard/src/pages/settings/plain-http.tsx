import { useState } from "preact/hooks";
import * as client from "../../api/client";
import { tell } from "../../state/notices";
import { useAction } from "../../state/resource";
import { Button } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { ProblemBox } from "../../ui/problem";

/** Plain HTTP for clients that take no certificate. It is switched on only by who has read what that means. */
export function PlainHttpSwitch({ isOn, onChanged }: { isOn: boolean; onChanged: () => Promise<void> }) {
  const [isAsked, setAsked] = useState(false);
  const switching = useAction();
  const change = async (isWanted: boolean) => {
    const isDone = await switching.run(async () => void (await client.setPlainHttp(isWanted)));
    if (isDone) {
      tell(isWanted ? "Port 80 answers unencrypted from now on." : "Port 80 leads to https:// again.");
      setAsked(false);
    }
    await onChanged();
  };
  return (
    <>
      <h3>Plain HTTP</h3>
      {isOn ? (
        <p class="field-error">
          Port 80 answers requests with a token, unencrypted: whoever listens on your network reads them.
        </p>
      ) : (
        <p class="hint">Off: port 80 leads to https://.</p>
      )}
      {!isAsked && <ProblemBox problem={switching.problem} />}
      <div class="actions">
        {isOn ? (
          <Button isBusy={switching.isBusy} onClick={() => void change(false)}>
            Switch it off
          </Button>
        ) : (
          <Button onClick={() => setAsked(true)}>Switch it on…</Button>
        )}
      </div>
      {isAsked && (
        <Dialog title="Answer unencrypted, too?" onClose={() => setAsked(false)}>
          <p>
            For clients that cannot be told to trust this machine's certificate. From then on port 80 answers
            requests with a token from addresses of your own network. Whoever listens there reads the token,
            the questions and the answers.
          </p>
          <ProblemBox problem={switching.problem} />
          <div class="actions end">
            <Button onClick={() => setAsked(false)}>Cancel</Button>
            <Button kind="danger" isBusy={switching.isBusy} onClick={() => void change(true)}>
              Switch it on
            </Button>
          </div>
        </Dialog>
      )}
    </>
  );
}
