import type { ComponentChildren } from "preact";
import type { Problem } from "../api/problem";
import { span } from "../format/time";
import { Icon } from "./icon";

/** Why something was not done, in the appliance's words. */
export function ProblemBox({ problem, children }: { problem: Problem | null; children?: ComponentChildren }) {
  if (problem === null) return null;
  return (
    <div class="problem" role="alert">
      <Icon name="warning" />
      <div>
        <strong>{problem.title}</strong>
        <p>{problem.detail}</p>
        {problem.retryAfter !== null && <p>Try again in {span(problem.retryAfter)}.</p>}
        {children}
      </div>
    </div>
  );
}
