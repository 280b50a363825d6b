import { useLayoutEffect, useRef } from "preact/hooks";

/** Nearer to the end than this counts as being there. */
const NEAR_PIXELS = 60;

/**
 * Keeps something that scrolls at its end while it grows, as long as its reader stays there. `begun` being another one
 * leads to the end anew. Returns what to call when it is scrolled.
 */
export function useFollowedEnd(
  element: { readonly current: HTMLElement | null },
  grown: unknown,
  begun: unknown,
): () => void {
  const isAtEnd = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: it begins at its end
  useLayoutEffect(() => {
    isAtEnd.current = true;
  }, [begun]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: whatever is new is followed
  useLayoutEffect(() => {
    const scrolled = element.current;
    if (scrolled !== null && isAtEnd.current) scrolled.scrollTop = scrolled.scrollHeight;
  }, [grown, begun, element]);
  return () => {
    const scrolled = element.current;
    if (scrolled === null) return;
    isAtEnd.current = scrolled.scrollHeight - scrolled.scrollTop - scrolled.clientHeight < NEAR_PIXELS;
  };
}
