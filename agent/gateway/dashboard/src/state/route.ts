import type { Role } from "../api/contract";
import { Store } from "./store";

export type PageName = "overview" | "chat" | "models" | "tokens" | "logs" | "settings";

/** The pages in the order of the menu, and who may see them. */
export const PAGES: { name: PageName; title: string; role: Role }[] = [
  { name: "overview", title: "Overview", role: "read" },
  { name: "chat", title: "Chat", role: "chat" },
  { name: "models", title: "Models", role: "read" },
  { name: "tokens", title: "Tokens", role: "admin" },
  { name: "logs", title: "Logs", role: "admin" },
  { name: "settings", title: "Settings", role: "admin" },
];

/** The page that the address names. It stands behind `#`, so that the gateway needs to know only one page. */
export const route = new Store<PageName>(named(location.hash));

addEventListener("hashchange", () => route.set(named(location.hash)));

export function addressOf(page: PageName): string {
  return `#/${page}`;
}

function named(hash: string): PageName {
  return PAGES.find((page) => addressOf(page.name) === hash)?.name ?? "overview";
}
