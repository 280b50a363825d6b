import {
  type Conversation,
  dropConversation,
  isAnswering,
  newConversation,
  openConversation,
} from "../../state/chats";
import { Button, IconButton } from "../../ui/button";

/** The conversations of this page. */
export function Conversations({ list, open }: { list: Conversation[]; open: number }) {
  return (
    <aside class="conversations" aria-label="Conversations">
      <Button icon="add" onClick={newConversation}>
        New conversation
      </Button>
      <ul>
        {list.map((conversation) => (
          <li key={conversation.id} class={conversation.id === open ? "open" : ""}>
            <button
              type="button"
              class="conversation"
              aria-current={conversation.id === open}
              onClick={() => openConversation(conversation.id)}
            >
              {titleOf(conversation)}
              {isAnswering(conversation) && <span class="answering"> · answering</span>}
            </button>
            {conversation.turns.length > 0 && (
              <IconButton
                icon="remove"
                label={`Delete the conversation ${titleOf(conversation)}`}
                onClick={() => dropConversation(conversation.id)}
              />
            )}
          </li>
        ))}
      </ul>
      <p class="hint">
        Conversations live in this page alone. They are gone when it is closed or loaded anew.
      </p>
    </aside>
  );
}

function titleOf({ title }: Conversation): string {
  return title || "New conversation";
}
