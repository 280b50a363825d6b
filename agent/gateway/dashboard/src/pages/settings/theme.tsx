import { useStore } from "../../state/store";
import { themeChoice } from "../../state/theme";
import { Segments } from "../../ui/field";
import { Panel } from "../../ui/panel";

const CHOICES = [
  { value: "auto", text: "System" },
  { value: "light", text: "Light" },
  { value: "dark", text: "Dark" },
] as const;

/** How this page looks, in this browser. */
export function ThemePanel() {
  const choice = useStore(themeChoice);
  return (
    <Panel title="Appearance">
      <Segments
        legend="Colours"
        value={choice}
        options={CHOICES}
        onChange={(value) => themeChoice.set(value)}
      />
      <p class="hint">Kept in this browser alone.</p>
    </Panel>
  );
}
