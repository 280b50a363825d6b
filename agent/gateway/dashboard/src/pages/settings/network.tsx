import { useEffect, useState } from "preact/hooks";
import * as client from "../../api/client";
import type { Network } from "../../api/contract";
import { tell } from "../../state/notices";
import { useAction, useResource } from "../../state/resource";
import { reloadTrial } from "../../state/trial";
import { Button } from "../../ui/button";
import { CheckField, SecretField, Segments, TextField } from "../../ui/field";
import { Empty, Panel } from "../../ui/panel";
import { Pill } from "../../ui/pill";
import { ProblemBox } from "../../ui/problem";
import { type Draft, draftOf, readDraft } from "./network-draft";

const METHODS = [
  { value: "dhcp", text: "Automatic (DHCP)" },
  { value: "static", text: "Fixed" },
] as const;

/** Host name and addresses. A change is on trial for two minutes, as a wrong one would lock everybody out. */
export function NetworkPanel() {
  const network = useResource(client.network);
  const saving = useAction();
  const [draft, setDraft] = useState<Draft | null>(null);
  const [isAsked, setAsked] = useState(false);
  const known = network.value?.value ?? null;
  useEffect(() => {
    if (known !== null) setDraft(draftOf(known));
  }, [known]);

  const set = (change: Partial<Draft>) => setDraft((old) => old && { ...old, ...change });
  const wanted = draft && readDraft(draft);
  const errors = isAsked ? (wanted?.errors ?? {}) : {};
  const submit = async () => {
    setAsked(true);
    if (wanted === null || wanted.change === null) return;
    const { change } = wanted;
    const isDone = await saving.run(async () => {
      const until = await client.setNetwork(change, network.value?.etag ?? null);
      if (until === null) tell("The network is what is kept; nothing is on trial.");
    });
    if (!isDone) return;
    setAsked(false);
    await Promise.all([network.reload(), reloadTrial()]);
  };
  return (
    <Panel title="Network">
      <ProblemBox problem={network.problem ?? saving.problem}>
        {saving.problem?.status === 412 && (
          <Button icon="again" onClick={() => void network.reload().then(saving.forget)}>
            Read it again
          </Button>
        )}
      </ProblemBox>
      {known !== null && <Interfaces list={known.interfaces} problem={known.interfaces_problem} />}
      {draft !== null && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void submit();
          }}
        >
          <TextField
            label="Host name"
            value={draft.hostname}
            onInput={(hostname) => set({ hostname })}
            error={errors.hostname ?? null}
            hint={`Found as ${draft.hostname || "…"}.local`}
          />
          <Segments
            legend="Address"
            value={draft.method}
            options={METHODS}
            onChange={(method) => set({ method })}
          />
          {draft.method === "static" && (
            <>
              <TextField
                label="Address and prefix"
                value={draft.address}
                onInput={(address) => set({ address })}
                error={errors.address ?? null}
                hint="Such as 192.168.1.20/24"
              />
              <TextField
                label="Gateway"
                value={draft.gateway}
                onInput={(gateway) => set({ gateway })}
                error={errors.gateway ?? null}
              />
              <TextField
                label="Name servers"
                value={draft.dns}
                onInput={(dns) => set({ dns })}
                error={errors.dns ?? null}
                hint="Separated by spaces"
              />
            </>
          )}
          {hasWifi(known) && (
            <>
              <CheckField label="Use Wi-Fi" isChecked={draft.isWifi} onChange={(isWifi) => set({ isWifi })} />
              {draft.isWifi && (
                <>
                  <TextField
                    label="Wi-Fi network"
                    value={draft.ssid}
                    onInput={(ssid) => set({ ssid })}
                    error={errors.ssid ?? null}
                  />
                  <SecretField
                    label="Wi-Fi password"
                    value={draft.password}
                    onInput={(password) => set({ password })}
                    autoComplete="new-password"
                    error={errors.password ?? null}
                    hint={
                      known?.wifi === null
                        ? "8 to 63 characters; empty for an open network"
                        : "Empty: as it is"
                    }
                  />
                </>
              )}
            </>
          )}
          <p class="hint">A change is taken back after two minutes unless you confirm that it works.</p>
          <Button type="submit" kind="main" isBusy={saving.isBusy}>
            Try it
          </Button>
        </form>
      )}
    </Panel>
  );
}

function hasWifi(network: Network | null): boolean {
  return (
    network !== null && (network.wifi !== null || network.interfaces.some(({ kind }) => kind === "wifi"))
  );
}

function Interfaces({ list, problem }: { list: Network["interfaces"]; problem: string | null }) {
  if (list.length === 0) return <Empty>{problem ?? "No network interface was found."}</Empty>;
  return (
    <ul class="rows" aria-label="Interfaces">
      {list.map(({ name, kind, mac, carrier, addresses }) => (
        <li key={name} class="row">
          <div class="row-text">
            <strong>{name}</strong>
            <span class="hint breakable">{[kind, mac, ...addresses].filter(Boolean).join(" · ")}</span>
          </div>
          {carrier !== null && (
            <Pill tone={carrier ? "good" : "warn"}>{carrier ? "connected" : "not connected"}</Pill>
          )}
        </li>
      ))}
    </ul>
  );
}
