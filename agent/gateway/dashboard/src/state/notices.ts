import { Store } from "./store";

/** Something that was done, told for a moment. */
export interface Notice {
  id: number;
  text: string;
}

export const notices = new Store<Notice[]>([]);

const SHOWN_MS = 6_000;
let lastId = 0;

/** Tells that something was done. What failed is told where it was asked for, and stays. */
export function tell(text: string): void {
  lastId += 1;
  const id = lastId;
  notices.update((shown) => [...shown, { id, text }]);
  setTimeout(() => dismiss(id), SHOWN_MS);
}

export function dismiss(id: number): void {
  notices.update((shown) => shown.filter((notice) => notice.id !== id));
}
