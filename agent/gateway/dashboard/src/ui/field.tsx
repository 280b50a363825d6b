import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

interface LineProps {
  label: string;
  value: string;
  onInput: (value: string) => void;
  hint?: ComponentChildren;
  /** Why the value cannot be taken. */
  error?: string | null;
}

/** One line of text with its label, what it means, and what is wrong with it. */
export function TextField(
  props: LineProps & {
    /** Suggestions. */
    choices?: readonly string[];
    isNumber?: boolean;
    maxLength?: number;
  },
) {
  const id = useId();
  return (
    <Labelled id={id} {...props}>
      <input
        {...attributesOf(id, props)}
        type="text"
        inputMode={props.isNumber ? "decimal" : "text"}
        autocomplete="off"
        maxLength={props.maxLength}
        list={props.choices && `${id}-choices`}
      />
      {props.choices !== undefined && (
        <datalist id={`${id}-choices`}>
          {props.choices.map((choice) => (
            <option key={choice} value={choice} />
          ))}
        </datalist>
      )}
    </Labelled>
  );
}

/** One line that is not shown; a password manager may keep it. */
export function SecretField(props: LineProps & { autoComplete: "current-password" | "new-password" }) {
  const id = useId();
  return (
    <Labelled id={id} {...props}>
      <input {...attributesOf(id, props)} type="password" autocomplete={props.autoComplete} />
    </Labelled>
  );
}

function attributesOf(id: string, props: LineProps) {
  return {
    id,
    value: props.value,
    autocapitalize: "none",
    spellcheck: false,
    "aria-describedby": `${id}-hint ${id}-error`,
    "aria-invalid": Boolean(props.error),
    onInput: ({ currentTarget }: { currentTarget: HTMLInputElement }) => props.onInput(currentTarget.value),
  } as const;
}

function Labelled(props: LineProps & { id: string; children: ComponentChildren }) {
  return (
    <div class="field">
      <label for={props.id}>{props.label}</label>
      {props.children}
      <Hints id={props.id} hint={props.hint} error={props.error} />
    </div>
  );
}

/** A file of the browser's machine. */
export function FileField(props: {
  label: string;
  /** The endings that are offered first, separated by commas. */
  accept: string;
  onChoose: (file: File | null) => void;
  hint: ComponentChildren;
  error: string | null;
}) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <input
        id={id}
        type="file"
        accept={props.accept}
        aria-describedby={`${id}-hint ${id}-error`}
        aria-invalid={props.error !== null}
        onChange={(event) => props.onChoose(event.currentTarget.files?.[0] ?? null)}
      />
      <Hints id={id} hint={props.hint} error={props.error} />
    </div>
  );
}

interface SelectFieldProps<T extends string> {
  label: string;
  value: T;
  options: readonly { value: T; text: string }[];
  onChange: (value: T) => void;
  hint?: ComponentChildren;
}

/** One of several, in a list. */
export function SelectField<T extends string>(props: SelectFieldProps<T>) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      <select
        id={id}
        value={props.value}
        aria-describedby={`${id}-hint`}
        onChange={(event) => props.onChange(event.currentTarget.value as T)}
      >
        {props.options.map(({ value, text }) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
      <Hints id={id} hint={props.hint} />
    </div>
  );
}

function Hints(props: { id: string; hint?: ComponentChildren; error?: string | null | undefined }) {
  return (
    <>
      {props.hint !== undefined && (
        <p class="hint" id={`${props.id}-hint`}>
          {props.hint}
        </p>
      )}
      {props.error && (
        <p class="field-error" id={`${props.id}-error`}>
          {props.error}
        </p>
      )}
    </>
  );
}

/** Something that is so or not. */
export function CheckField(props: {
  label: string;
  isChecked: boolean;
  onChange: (isChecked: boolean) => void;
  hint?: ComponentChildren;
}) {
  const id = useId();
  return (
    <div class="field check">
      <input
        id={id}
        type="checkbox"
        checked={props.isChecked}
        aria-describedby={`${id}-hint`}
        onChange={(event) => props.onChange(event.currentTarget.checked)}
      />
      <label for={id}>{props.label}</label>
      <Hints id={id} hint={props.hint} />
    </div>
  );
}

interface SegmentsProps<T extends string> {
  legend: string;
  /** Whether the legend is only told and not shown. */
  isLegendUnseen?: boolean;
  value: T;
  options: readonly { value: T; text: string }[];
  onChange: (value: T) => void;
}

/** One of a few, side by side. They are radio buttons, so the arrow keys move between them. */
export function Segments<T extends string>(props: SegmentsProps<T>) {
  const name = useId();
  return (
    <fieldset class="segments">
      <legend class={props.isLegendUnseen ? "unseen" : ""}>{props.legend}</legend>
      <div class="segments-row">
        {props.options.map(({ value, text }) => (
          <label key={value}>
            <input
              type="radio"
              name={name}
              value={value}
              checked={props.value === value}
              onChange={() => props.onChange(value)}
            />
            <span>{text}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
