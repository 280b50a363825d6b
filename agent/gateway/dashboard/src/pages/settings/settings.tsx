import { PageHead } from "../../ui/panel";
import { CertificatePanel } from "./certificate";
import { ClockPanel } from "./clock";
import { NetworkPanel } from "./network";
import { PowerPanel } from "./power";
import { SystemPanel } from "./system";
import { TargetPanel } from "./target";
import { ThemePanel } from "./theme";

/** What can be set of the machine. */
export function Settings() {
  return (
    <>
      <PageHead title="Settings" />
      <div class="columns">
        <PowerPanel />
        <TargetPanel />
        <NetworkPanel />
        <ClockPanel />
        <CertificatePanel />
        <ThemePanel />
        <SystemPanel />
      </div>
    </>
  );
}
