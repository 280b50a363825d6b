import { useState } from "preact/hooks";
import * as client from "../../api/client";
import type { Tls } from "../../api/contract";
import { date } from "../../format/time";
import { tell } from "../../state/notices";
import { useAction, useResource } from "../../state/resource";
import { Button } from "../../ui/button";
import { CopyButton } from "../../ui/copy";
import { Icon } from "../../ui/icon";
import { Facts, Panel } from "../../ui/panel";
import { ProblemBox } from "../../ui/problem";
import { OwnCertificateDialog } from "./own-certificate";
import { PlainHttpSwitch } from "./plain-http";

/** By what browsers and programs know this machine, and whether it is reached unencrypted, too. */
export function CertificatePanel() {
  const { value: tls, problem, reload } = useResource(client.tls);
  return (
    <Panel title="Certificate">
      <ProblemBox problem={problem} />
      {tls !== null && (
        <>
          <Facts
            facts={[
              ["Signed by", tls.source === "own" ? "your own authority" : "this machine's authority"],
              ["Valid until", date(tls.certificate.not_after)],
              ["For", <span class="breakable">{tls.certificate.names.join(", ")}</span>],
            ]}
          />
          <Fingerprint name="Certificate" value={tls.certificate.sha256} />
          <Fingerprint name="Authority" value={tls.authority.sha256} />
          <p class="hint">
            Compare these SHA-256 fingerprints with the ones on the console before you trust a download.
          </p>
          <a class="button plain" href="/ca.crt" download="hearth-ca.crt">
            <Icon name="download" />
            <span>Download the authority</span>
          </a>
          <OwnCertificate tls={tls} onChanged={reload} />
          <PlainHttpSwitch isOn={tls.plain_http} onChanged={reload} />
        </>
      )}
    </Panel>
  );
}

/** The owner's own certificate is installed, replaced, or taken away. */
function OwnCertificate({ tls, onChanged }: { tls: Tls; onChanged: () => Promise<void> }) {
  const [isAsked, setAsked] = useState(false);
  const removing = useAction();
  const isThere = tls.source === "own" || tls.own_problem !== null;
  const remove = async () => {
    if (await removing.run(async () => void (await client.removeCertificate())))
      tell("This machine's own authority signs again.");
    await onChanged();
  };
  return (
    <>
      <h3>Your own certificate</h3>
      {tls.own_problem !== null && <p class="field-error">It is not served: {tls.own_problem}</p>}
      <ProblemBox problem={removing.problem} />
      <div class="actions">
        <Button onClick={() => setAsked(true)}>{isThere ? "Replace it…" : "Install one…"}</Button>
        {isThere && (
          <Button kind="danger" isBusy={removing.isBusy} onClick={() => void remove()}>
            Remove it
          </Button>
        )}
      </div>
      {isAsked && <OwnCertificateDialog onClose={() => setAsked(false)} onChanged={onChanged} />}
    </>
  );
}

/** Its bytes stay whole where the line ends. */
function Fingerprint({ name, value }: { name: string; value: string }) {
  return (
    <div class="fingerprint">
      <h3>{name}</h3>
      <code>{value.split(/(?<=:)/).flatMap((byte) => [byte, <wbr />])}</code>
      <CopyButton text={value} label={`Copy the fingerprint: ${name}`} />
    </div>
  );
}
