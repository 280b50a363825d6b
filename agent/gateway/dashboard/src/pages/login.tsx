import { useState } from "preact/hooks";
import { useAction } from "../state/resource";
import { signIn } from "../state/session";
import { Button } from "../ui/button";
import { SecretField } from "../ui/field";
import { Sign } from "../ui/icon";
import { ProblemBox } from "../ui/problem";

/** Where a token is exchanged for a session. The token is not kept by the page. */
export function Login({ hasEnded }: { hasEnded: boolean }) {
  const [token, setToken] = useState("");
  const signingIn = useAction();
  const submit = () => signingIn.run(() => signIn(token.trim()));
  return (
    <main class="alone">
      <form
        class="panel login"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <header class="login-head">
          <Sign />
          <h1>Hearth</h1>
        </header>
        {hasEnded && <p role="status">Your session has ended. Sign in again.</p>}
        {isSecureContext ? null : <Insecure />}
        {/* Password managers keep a secret under a name. */}
        <input type="text" autocomplete="username" value="hearth" readOnly hidden />
        <SecretField
          label="Token"
          value={token}
          onInput={setToken}
          autoComplete="current-password"
          hint={
            <>
              The first one is shown on the console or printed when the disk is written.{" "}
              <code>hearth token new</code> on the appliance makes another.
            </>
          }
        />
        <ProblemBox problem={signingIn.problem} />
        <Button type="submit" kind="main" isBusy={signingIn.isBusy} isDisabled={token.trim() === ""}>
          Sign in
        </Button>
      </form>
    </main>
  );
}

function Insecure() {
  const secure = `https://${location.hostname}/`;
  return (
    <div class="problem" role="alert">
      <div>
        <strong>This connection is not encrypted</strong>
        <p>
          Signing in works over HTTPS alone: <a href={secure}>{secure}</a>
        </p>
      </div>
    </div>
  );
}
