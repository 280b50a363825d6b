import { percent } from "../format/units";

/** How far something is; `share` from 0 to 1, `null` while that is not known. */
export function Progress({ label, share }: { label: string; share: number | null }) {
  return (
    <div class="progress">
      {share === null ? (
        <progress aria-label={label} />
      ) : (
        <progress aria-label={label} max={1} value={Math.min(Math.max(share, 0), 1)} />
      )}
      <span class="figure">{share === null ? "" : percent(share)}</span>
    </div>
  );
}
