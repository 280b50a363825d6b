import * as client from "../../api/client";
import { date } from "../../format/time";
import { useResource } from "../../state/resource";
import { CopyButton } from "../../ui/copy";
import { Icon } from "../../ui/icon";
import { Facts, Panel } from "../../ui/panel";
import { ProblemBox } from "../../ui/problem";

/** By what browsers and programs know this machine. */
export function CertificatePanel() {
  const { value: tls, problem } = useResource(client.tls);
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
          {tls.own_problem !== null && (
            <p class="field-error">Your own certificate is not served: {tls.own_problem}</p>
          )}
          {tls.plain_http && (
            <p class="field-error">
              Port 80 answers requests with a token, unencrypted: whoever listens on your network reads them.{" "}
              <code>hearth tls plain-http off</code> ends it.
            </p>
          )}
          <Fingerprint name="Certificate" value={tls.certificate.sha256} />
          <Fingerprint name="Authority" value={tls.authority.sha256} />
          <p class="hint">
            Compare these SHA-256 fingerprints with the ones on the console before you trust a download.
          </p>
          <a class="button plain" href="/ca.crt" download="hearth-ca.crt">
            <Icon name="download" />
            <span>Download the authority</span>
          </a>
        </>
      )}
    </Panel>
  );
}

function Fingerprint({ name, value }: { name: string; value: string }) {
  return (
    <div class="fingerprint">
      <h3>{name}</h3>
      <code class="breakable">{value}</code>
      <CopyButton text={value} label={`Copy the fingerprint: ${name}`} />
    </div>
  );
}
