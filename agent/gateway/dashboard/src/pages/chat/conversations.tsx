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
  const begun = list.filter(({ turns }) => turns.length > 0);
  return (
    <aside class="conversations" aria-label="Conversations">
      <Button icon="add" onClick={newConversation}>
        New conversation
      </Button>
      <ul>
        {begun.map((conversation) => (
          <li key={conversation.id} class={conversation.id === open ? "open" : ""}>
            <button
              type="button"
              class="conversation"
              aria-current={conversation.id === open}
              onClick={() => openConversation(conversation.id)}
            >
              {conversation.title}
              {isAnswering(conversation) && <span class="answering"> · answering</span>}
            </button>
            <IconButton
              icon="remove"
              label={`Delete the conversation ${conversation.title}`}
              onClick={() => dropConversation(conversation.id)}
            />
          </li>
        ))}
      </ul>
      <p class="hint">
        Conversations live in this page alone. They are gone when it is closed or loaded anew.
      </p>
    </aside>
  );
}
