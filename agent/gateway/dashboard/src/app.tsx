import { useEffect } from "preact/hooks";
import type { Session } from "./api/contract";
import { Chat } from "./pages/chat/chat";
import { Login } from "./pages/login";
import { Logs } from "./pages/logs/logs";
import { Models } from "./pages/models/models";
import { Overview } from "./pages/overview/overview";
import { Settings } from "./pages/settings/settings";
import { Tokens } from "./pages/tokens/tokens";
import { startLive } from "./state/live";
import { machine, readMachine } from "./state/machine";
import { PAGES, type PageName, route } from "./state/route";
import { askSession, mayDo, session } from "./state/session";
import { useStore } from "./state/store";
import { pauseUploads } from "./state/uploads";
import { Button } from "./ui/button";
import { Notices } from "./ui/notices";
import { PageHead } from "./ui/panel";
import { ProblemBox } from "./ui/problem";
import { Shell } from "./ui/shell";

/** The whole page: who is signed in decides what it is. */
export function App() {
  const now = useStore(session);
  useEffect(() => void askSession(), []);
  switch (now.state) {
    case "asking":
      return <main class="alone" aria-busy="true" aria-label="Loading" />;
    case "unreachable":
      return (
        <main class="alone">
          <ProblemBox problem={now.problem}>
            <Button icon="again" onClick={() => void askSession()}>
              Try again
            </Button>
          </ProblemBox>
        </main>
      );
    case "out":
      return <Login hasEnded={now.hasEnded} />;
    case "in":
      return <SignedIn session={now.session} />;
  }
}

function SignedIn({ session }: { session: Session }) {
  const page = useStore(route);
  useEffect(() => {
    const stopLive = startLive();
    void readMachine().catch(() => {}); // The overview, which reads it again and again, tells why it cannot.
    return () => {
      stopLive();
      pauseUploads(); // Who comes back goes on with them.
      machine.set(null);
    };
  }, []);
  return (
    <>
      <Shell page={page} session={session}>
        <PageOf page={page} session={session} />
      </Shell>
      <Notices />
    </>
  );
}

function PageOf({ page, session }: { page: PageName; session: Session }) {
  const needed = PAGES.find(({ name }) => name === page);
  if (needed !== undefined && !mayDo(session.role, needed.role)) {
    return (
      <>
        <PageHead title={needed.title} />
        <p>
          This page needs a token with the role <strong>{needed.role}</strong>. You are signed in as{" "}
          <strong>{session.name}</strong>, which may {session.role === "chat" ? "read and chat" : "read"}.
        </p>
      </>
    );
  }
  switch (page) {
    case "overview":
      return <Overview role={session.role} />;
    case "chat":
      return <Chat />;
    case "models":
      return <Models role={session.role} />;
    case "tokens":
      return <Tokens own={session.name} />;
    case "logs":
      return <Logs />;
    case "settings":
      return <Settings />;
  }
}
