import { useEffect } from "preact/hooks";
import * as client from "../../api/client";
import { chats, chooseModel, openOf } from "../../state/chats";
import { engine, modelsVersion } from "../../state/live";
import { useResource } from "../../state/resource";
import { useStore } from "../../state/store";
import { SelectField } from "../../ui/field";
import { Empty, PageHead } from "../../ui/panel";
import { ProblemBox } from "../../ui/problem";
import { Composer } from "./composer";
import { Conversations } from "./conversations";
import { Thread } from "./thread";

/** Questions and answers. */
export function Chat() {
  const all = useStore(chats);
  const version = useStore(modelsVersion);
  const models = useResource(client.chatModels);
  const { reload } = models;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the list is read anew when it is another one
  useEffect(() => void reload(), [reload, version]);

  const model = chosen(all.model, models.value);
  const isWaking = models.value === null && models.problem === null;
  const conversation = openOf(all);
  return (
    <div class="chat">
      <PageHead title="Chat">
        {models.value !== null && models.value.length > 0 && (
          <SelectField
            label="Model"
            value={model ?? ""}
            options={models.value.map((id) => ({ value: id, text: id }))}
            onChange={chooseModel}
          />
        )}
      </PageHead>
      <ProblemBox problem={models.problem} />
      {models.value?.length === 0 && <Empty>There is no model to ask. An administrator can add one.</Empty>}
      <div class="chat-columns">
        <Conversations list={all.list} open={conversation.id} />
        <section class="chat-main" aria-label={conversation.title || "New conversation"}>
          <Thread conversation={conversation} model={model} />
          <Composer conversation={conversation} model={model} isWaking={isWaking} />
        </section>
      </div>
    </div>
  );
}

/** The model that somebody has chosen; else the one that is loaded, which answers soonest; else the first. */
function chosen(wanted: string | null, models: string[] | null): string | null {
  const loaded = engine.value?.model ?? null;
  const has = (id: string | null) => id !== null && models?.includes(id) === true;
  if (has(wanted)) return wanted;
  return has(loaded) ? loaded : (models?.[0] ?? null);
}
