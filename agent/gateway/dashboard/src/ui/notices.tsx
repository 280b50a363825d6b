import { dismiss, notices } from "../state/notices";
import { useStore } from "../state/store";
import { IconButton } from "./button";

/** What was done a moment ago. */
export function Notices() {
  const shown = useStore(notices);
  return (
    <div class="notices" role="status">
      {shown.map(({ id, text }) => (
        <div class="notice" key={id}>
          <span>{text}</span>
          <IconButton icon="close" label="Dismiss" onClick={() => dismiss(id)} />
        </div>
      ))}
    </div>
  );
}
