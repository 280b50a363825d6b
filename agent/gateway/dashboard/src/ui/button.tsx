import type { ComponentChildren } from "preact";
import { Icon, type IconName } from "./icon";

interface ButtonProps {
  children: ComponentChildren;
  icon?: IconName;
  kind?: "plain" | "main" | "danger" | "quiet";
  type?: "button" | "submit";
  isDisabled?: boolean;
  isBusy?: boolean;
  /** More than the text says, for those who do not see what is beside it. */
  label?: string;
  onClick?: () => void;
}

/** A button with words on it. One that is busy can still be reached, but does nothing. */
export function Button({ children, icon, kind = "plain", type = "button", ...rest }: ButtonProps) {
  const isOff = rest.isDisabled === true || rest.isBusy === true;
  return (
    <button
      type={type}
      class={`button ${kind}`}
      aria-disabled={isOff}
      aria-busy={rest.isBusy === true}
      aria-label={rest.label}
      onClick={(event) => {
        if (isOff) event.preventDefault();
        else rest.onClick?.();
      }}
    >
      {icon !== undefined && <Icon name={icon} />}
      <span>{children}</span>
    </button>
  );
}

/** A button with an icon alone; its name is told all the same. */
export function IconButton(props: { icon: IconName; label: string; onClick: () => void }) {
  return (
    <button
      type="button"
      class="icon-button"
      aria-label={props.label}
      title={props.label}
      onClick={props.onClick}
    >
      <Icon name={props.icon} />
    </button>
  );
}
