import { Store } from "./store";

/** What people have chosen; `auto` goes with the system. */
export type ThemeChoice = "auto" | "light" | "dark";
export type Theme = "light" | "dark";

export const THEME_CHOICES: readonly ThemeChoice[] = ["auto", "light", "dark"];

const KEY = "hearth-theme";
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");

export const themeChoice = new Store<ThemeChoice>(remembered());
/** The theme in force. */
export const theme = new Store<Theme>(inForce());

/** Shows the theme, and goes on doing so when it is switched. */
export function startTheme(): void {
  const show = () => {
    theme.set(inForce());
    document.documentElement.dataset.theme = theme.value;
  };
  systemIsDark.addEventListener("change", show);
  themeChoice.subscribe(() => {
    localStorage.setItem(KEY, themeChoice.value);
    show();
  });
  show();
}

function inForce(): Theme {
  if (themeChoice.value !== "auto") return themeChoice.value;
  return systemIsDark.matches ? "dark" : "light";
}

function remembered(): ThemeChoice {
  const choice = localStorage.getItem(KEY);
  return THEME_CHOICES.find((known) => known === choice) ?? "auto";
}
