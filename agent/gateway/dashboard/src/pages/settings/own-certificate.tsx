import { useState } from "preact/hooks";
import * as client from "../../api/client";
import { tell } from "../../state/notices";
import { useAction } from "../../state/resource";
import { Button } from "../../ui/button";
import { Dialog } from "../../ui/dialog";
import { FileField } from "../../ui/field";
import { ProblemBox } from "../../ui/problem";
import { certificateError, keyError } from "./pem";

/** Asks for a certificate and its key, and has them served. The key is read by this page and kept nowhere in it. */
export function OwnCertificateDialog(props: { onClose: () => void; onChanged: () => Promise<void> }) {
  const [certificate, setCertificate] = useState<string | null>(null);
  const [key, setKey] = useState<string | null>(null);
  const [isAsked, setAsked] = useState(false);
  const installing = useAction();

  const wrongCertificate = certificate === null ? "Choose a file." : certificateError(certificate);
  const wrongKey = key === null ? "Choose a file." : keyError(key);
  const submit = async () => {
    setAsked(true);
    if (certificate === null || key === null || wrongCertificate !== null || wrongKey !== null) return;
    const isDone = await installing.run(async () => void (await client.installCertificate(certificate, key)));
    if (!isDone) return;
    tell("Your certificate is served from the next connection on.");
    props.onClose();
    await props.onChanged();
  };
  return (
    <Dialog title="Install your own certificate" onClose={props.onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <p>
          It must be for a name by which this machine is reached. A browser that does not trust it will say so
          with the next connection.
        </p>
        <FileField
          label="Certificate"
          accept=".pem,.crt,.cer"
          onChoose={(file) => void textOf(file).then(setCertificate)}
          hint="PEM, with those by which it leads to its authority after it"
          error={isAsked || certificate !== null ? wrongCertificate : null}
        />
        <FileField
          label="Private key"
          accept=".pem,.key"
          onChoose={(file) => void textOf(file).then(setKey)}
          hint="PEM, without a password. It is sent to this machine alone."
          error={isAsked || key !== null ? wrongKey : null}
        />
        <ProblemBox problem={installing.problem} />
        <div class="actions end">
          <Button onClick={props.onClose}>Cancel</Button>
          <Button kind="main" type="submit" isBusy={installing.isBusy}>
            Install it
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

async function textOf(file: File | null): Promise<string | null> {
  return file === null ? null : file.text();
}
