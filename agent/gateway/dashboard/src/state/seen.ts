/**
 * Does something as long as the page can be seen: begins it now or when the page comes to the front, and aborts it when
 * nobody looks any more. Returns how to end it for good.
 */
export function whileSeen(begin: (signal: AbortSignal) => void): () => void {
  let running: AbortController | null = null;
  const stop = () => {
    running?.abort();
    running = null;
  };
  const look = () => {
    if (document.hidden) return stop();
    if (running !== null) return;
    running = new AbortController();
    begin(running.signal);
  };
  document.addEventListener("visibilitychange", look);
  look();
  return () => {
    document.removeEventListener("visibilitychange", look);
    stop();
  };
}
