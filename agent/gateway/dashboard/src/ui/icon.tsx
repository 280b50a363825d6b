/** The page's icons: strokes on a field of 24 by 24, in the colour of the text beside them. */

const SHAPES = {
  overview: "M4 19a9 9 0 1 1 16 0M12 14l4-5",
  chat: "M4 5h16v11H10l-5 4v-4H4z",
  models: "M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9",
  tokens: "M11 8.5a4.5 4.5 0 1 0 9 0 4.5 4.5 0 1 0-9 0M12.3 11.7L4 20M6.5 17.5L9 20M9.5 14.5l2 2",
  logs: "M5 6h14M5 10h14M5 14h9M5 18h6",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M13 7a2 2 0 1 0 4 0 2 2 0 1 0-4 0M7 17a2 2 0 1 0 4 0 2 2 0 1 0-4 0",
  leave: "M14 4H6v16h8M10 12h10M17 8.5l3.5 3.5-3.5 3.5",
  add: "M12 5v14M5 12h14",
  copy: "M9 9h10v11H9zM5 15V4h10",
  check: "M5 12.5l4.5 4.5L19 7",
  stop: "M7 7h10v10H7z",
  send: "M5 12h13M12 6l6 6-6 6",
  remove: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13M10.5 11v5M13.5 11v5",
  pause: "M9 6v12M15 6v12",
  resume: "M8 5.5v13l10-6.5z",
  close: "M6 6l12 12M18 6L6 18",
  warning: "M12 4l9 16H3zM12 10v5M12 17.5v.5",
  download: "M12 4v11M7.5 11l4.5 4.5 4.5-4.5M5 20h14",
  light:
    "M12 8a4 4 0 1 0 0 8 4 4 0 1 0 0-8M12 2v2.5M12 19.5V22M2 12h2.5M19.5 12H22M5 5l1.700 1.700M17.300 17.300L19 19M19 5l-1.700 1.700M6.700 17.300L5 19",
  dark: "M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z",
  auto: "M12 4a8 8 0 1 0 0 16 8 8 0 1 0 0-16M12 4v16M12 8h4M12 12h7.5M12 16h5",
  again: "M19 12a7 7 0 1 1-2-5l2 2M19 4v5h-5",
  lost: "M3 9a14 14 0 0 1 18 0M6.5 13a9 9 0 0 1 11 0M12 18v.5M4 4l16 16",
} as const;

export type IconName = keyof typeof SHAPES;

/** An icon beside text; it says nothing by itself. */
export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" width="20" height="20" aria-hidden="true" focusable="false">
      <path d={SHAPES[name]} />
    </svg>
  );
}

/** The appliance's sign: a house with a fire in it. */
export function Sign() {
  return (
    <svg class="sign" viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" focusable="false">
      <path class="sign-house" d="M16 2 3 12v18h26V12z" />
      <path class="sign-fire" d="M16 27a6 6 0 0 1-6-6c0-4 4-5 5-11 4 2 7 6 7 11a6 6 0 0 1-6 6z" />
    </svg>
  );
}
