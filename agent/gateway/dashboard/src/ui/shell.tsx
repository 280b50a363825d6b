import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Session } from "../api/contract";
import { NetworkTrial } from "../pages/settings/trial";
import { connection } from "../state/live";
import { machine } from "../state/machine";
import { useAction } from "../state/resource";
import { addressOf, PAGES, type PageName } from "../state/route";
import { mayDo, signOut } from "../state/session";
import { useStore } from "../state/store";
import { THEME_CHOICES, themeChoice } from "../state/theme";
import { IconButton } from "./button";
import { Icon, Sign } from "./icon";
import { ProblemBox } from "./problem";

interface ShellProps {
  page: PageName;
  session: Session;
  children: ComponentChildren;
}

/** What is around every page: the menu, who is signed in, and whether the appliance answers. */
export function Shell({ page, session, children }: ShellProps) {
  const main = useRef<HTMLElement>(null);
  const leaving = useAction();
  useHeadingFocus(page, main);
  return (
    <div class="shell">
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to the content
      </button>
      <header class="top">
        <Host />
        <div class="top-end">
          <Link />
          <ThemeButton />
          <IconButton
            icon="leave"
            label={`Sign out ${session.name} (${session.role})`}
            onClick={() => void leaving.run(signOut)}
          />
        </div>
      </header>
      <nav class="menu" aria-label="Pages">
        <ul>
          {PAGES.filter(({ role }) => mayDo(session.role, role)).map(({ name, title }) => (
            <li key={name}>
              <a href={addressOf(name)} aria-current={name === page ? "page" : undefined}>
                <Icon name={name} />
                <span>{title}</span>
              </a>
            </li>
          ))}
        </ul>
        <p class="menu-foot">
          Signed in as <strong>{session.name}</strong> ({session.role})
        </p>
      </nav>
      <main id="main" ref={main} tabIndex={-1}>
        <ProblemBox problem={leaving.problem} />
        <Lost />
        {mayDo(session.role, "admin") && <NetworkTrial />}
        {children}
      </main>
    </div>
  );
}

function Host() {
  const status = useStore(machine);
  return (
    <div class="host">
      <Sign />
      <span class="host-name">{status?.hostname ?? "Hearth"}</span>
    </div>
  );
}

/** Whether what is shown is what is. */
function Link() {
  const { state } = useStore(connection);
  const words = { connecting: "Connecting", live: "Live", lost: "No connection" }[state];
  return (
    <span class={`link ${state}`}>
      <span class="dot" aria-hidden="true" />
      {words}
    </span>
  );
}

function Lost() {
  const now = useStore(connection);
  return (
    <div role="status">
      {now.state === "lost" && (
        <div class="lost-banner">
          <Icon name="lost" />
          <span>
            <strong>The connection is lost.</strong> What is shown may be old; this page tries again by
            itself.
          </span>
        </div>
      )}
    </div>
  );
}

function ThemeButton() {
  const choice = useStore(themeChoice);
  const next = THEME_CHOICES[(THEME_CHOICES.indexOf(choice) + 1) % THEME_CHOICES.length] ?? "auto";
  const names = { auto: "as the system", light: "light", dark: "dark" };
  return (
    <IconButton
      icon={choice}
      label={`Colours: ${names[choice]}; switch to ${names[next]}`}
      onClick={() => themeChoice.set(next)}
    />
  );
}

/**
 * Another page begins at its heading, for the eye, the keyboard and a screen reader alike; or where the page itself has
 * put the focus.
 */
function useHeadingFocus(page: PageName, main: { current: HTMLElement | null }): void {
  const shown = useRef(page);
  useEffect(() => {
    document.title = `${PAGES.find(({ name }) => name === page)?.title ?? ""} · Hearth`;
    if (shown.current === page) return;
    shown.current = page;
    scrollTo(0, 0);
    if (main.current?.contains(document.activeElement)) return;
    main.current?.querySelector("h1")?.focus({ preventScroll: true });
  }, [page, main]);
}
