import type { ChatChunk, ChatMessage, Usage } from "../api/openai";
import { asProblem, fromOpenAi, type Problem } from "../api/problem";
import { isAbort, send } from "../api/request";
import { eventsOf, textOf } from "../api/stream";
import { Paced } from "./paced";
import { Store } from "./store";

/** One question or answer. */
export interface Turn {
  id: number;
  role: "user" | "assistant";
  text: string;
  /** How an answer fares; a question is `done`. */
  state: "waiting" | "writing" | "done" | "cut" | "stopped" | "failed";
  problem: Problem | null;
  speed: Speed | null;
}

/** What an answer took, as it was measured here. */
export interface Speed {
  /** From the question to the first piece of the answer, in milliseconds. */
  firstMs: number;
  tokens: number;
  /** Over the time from the first piece to the last; `null` where that cannot be told. */
  tokensPerSecond: number | null;
}

export interface Conversation {
  id: number;
  /** The beginning of the first question; empty before it. */
  title: string;
  /** What is being typed. */
  draft: string;
  turns: Turn[];
}

/** Conversations live as long as the page: nothing of them is stored anywhere. */
export interface Chats {
  list: Conversation[];
  open: number;
  model: string | null;
}

const TITLE_LENGTH = 48;
/** An answer is drawn no more often, however quickly it comes: each time all of its markdown is read. */
const DRAWN_EVERY_MS = 50;
let lastId = 0;
const answering = new Map<number, AbortController>();

export const chats = new Store<Chats>(fresh());

function fresh(): Chats {
  const conversation = emptyConversation();
  return { list: [conversation], open: conversation.id, model: null };
}

function nextId(): number {
  lastId += 1;
  return lastId;
}

function emptyConversation(): Conversation {
  return { id: nextId(), title: "", draft: "", turns: [] };
}

/** The conversation that is shown. */
export function openOf({ list, open }: Chats): Conversation {
  const found = list.find((conversation) => conversation.id === open) ?? list[0];
  if (found === undefined) throw new Error("there is always a conversation");
  return found;
}

export function isAnswering(conversation: Conversation): boolean {
  const last = conversation.turns.at(-1);
  return last?.state === "waiting" || last?.state === "writing";
}

/** Begins a conversation, or goes to the one that is empty anyway. */
export function newConversation(): void {
  chats.update((all) => {
    const empty = all.list.find((conversation) => conversation.turns.length === 0);
    if (empty !== undefined) return { ...all, open: empty.id };
    const conversation = emptyConversation();
    return { ...all, list: [conversation, ...all.list], open: conversation.id };
  });
}

export function openConversation(id: number): void {
  chats.update((all) => ({ ...all, open: id }));
}

export function dropConversation(id: number): void {
  stopAnswer(id);
  chats.update((all) => {
    const rest = all.list.filter((conversation) => conversation.id !== id);
    const list = rest.length > 0 ? rest : [emptyConversation()];
    return { ...all, list, open: all.open === id ? (list[0]?.id ?? id) : all.open };
  });
}

/** Forgets everything that was said. */
export function forgetChats(): void {
  for (const id of [...answering.keys()]) stopAnswer(id);
  chats.set(fresh());
}

export function chooseModel(model: string): void {
  chats.update((all) => ({ ...all, model }));
}

export function setDraft(id: number, draft: string): void {
  change(id, (conversation) => ({ ...conversation, draft }));
}

/** Asks a question in a conversation. */
export async function ask(id: number, model: string, question: string): Promise<void> {
  chooseModel(model); // From now on it is the one, whichever else is loaded meanwhile.
  change(id, (conversation) => ({
    ...conversation,
    draft: "",
    title: conversation.title || titleOf(question),
    turns: [...conversation.turns, turn("user", question, "done")],
  }));
  await answer(id, model);
}

/** Asks the last question again, in place of its answer. */
export async function askAgain(id: number, model: string): Promise<void> {
  change(id, (conversation) => {
    const last = conversation.turns.at(-1);
    return last?.role === "assistant"
      ? { ...conversation, turns: conversation.turns.slice(0, -1) }
      : conversation;
  });
  await answer(id, model);
}

/** Ends the answer that is being written; what came of it stays. */
export function stopAnswer(id: number): void {
  answering.get(id)?.abort();
}

/** The conversation as it is sent: without answers of which nothing came. */
export function messagesOf(turns: Turn[]): ChatMessage[] {
  return turns.filter(({ text }) => text !== "").map(({ role, text }) => ({ role, content: text }));
}

/** The beginning of a question in one line. */
export function titleOf(question: string): string {
  const line = question.replace(/\s+/g, " ").trim();
  const characters = [...line];
  return characters.length <= TITLE_LENGTH
    ? line
    : `${characters
        .slice(0, TITLE_LENGTH - 1)
        .join("")
        .trimEnd()}…`;
}

function turn(role: Turn["role"], text: string, state: Turn["state"]): Turn {
  return { id: nextId(), role, text, state, problem: null, speed: null };
}

async function answer(id: number, model: string): Promise<void> {
  const question = chats.value.list.find((conversation) => conversation.id === id);
  if (question === undefined || answering.has(id)) return;
  const controller = new AbortController();
  answering.set(id, controller);
  const reply = turn("assistant", "", "waiting");
  change(id, (conversation) => ({ ...conversation, turns: [...conversation.turns, reply] }));
  const update = (changed: Partial<Turn>) => changeTurn(id, reply.id, changed);
  try {
    update(await read(model, messagesOf(question.turns), controller.signal, update));
  } catch (thrown) {
    if (isAbort(thrown) || controller.signal.aborted) update({ state: "stopped" });
    else update({ state: "failed", problem: asProblem(thrown) });
  } finally {
    answering.delete(id);
  }
}

/** Streams an answer; returns how it ended. */
async function read(
  model: string,
  messages: ChatMessage[],
  signal: AbortSignal,
  update: (changed: Partial<Turn>) => void,
): Promise<Partial<Turn>> {
  const asked = performance.now();
  const meter = new Meter(asked);
  const json = { model, messages, stream: true, stream_options: { include_usage: true } };
  const response = await send("POST", "/v1/chat/completions", { json, signal });
  let text = "";
  let end: Partial<Turn> | null = null;
  const drawn = new Paced(DRAWN_EVERY_MS, update);
  try {
    for await (const { data } of eventsOf(textOf(response))) {
      if (data === "[DONE]") break;
      const chunk = JSON.parse(data) as ChatChunk;
      if (chunk.error !== undefined) throw fromOpenAi(chunk.error, response.status);
      const choice = chunk.choices?.[0];
      if (choice?.delta.content) {
        text += choice.delta.content;
        meter.piece(performance.now());
        drawn.put({ text, state: "writing" });
      }
      if (choice?.finish_reason) end = { state: choice.finish_reason === "length" ? "cut" : "done" };
      if (chunk.usage !== undefined) end = { ...end, speed: meter.speed(chunk.usage) };
    }
  } finally {
    drawn.flush();
  }
  if (end === null) throw new Error("The answer broke off before its end.");
  return end;
}

/** Measures an answer by when its pieces arrive, in milliseconds. */
export class Meter {
  #first: number | null = null;
  #last = 0;

  constructor(private readonly asked: number) {}

  piece(now: number): void {
    this.#first ??= now;
    this.#last = now;
  }

  /** `null` if nothing came. The first token's time is waiting, not writing, so it does not count for the rate. */
  speed({ completion_tokens: tokens }: Usage): Speed | null {
    if (this.#first === null) return null;
    const writing = (this.#last - this.#first) / 1000;
    return {
      firstMs: this.#first - this.asked,
      tokens,
      tokensPerSecond: writing > 0 && tokens > 1 ? (tokens - 1) / writing : null,
    };
  }
}

function change(id: number, changed: (conversation: Conversation) => Conversation): void {
  chats.update((all) => ({
    ...all,
    list: all.list.map((conversation) => (conversation.id === id ? changed(conversation) : conversation)),
  }));
}

function changeTurn(id: number, turnId: number, changed: Partial<Turn>): void {
  change(id, (conversation) => ({
    ...conversation,
    turns: conversation.turns.map((one) => (one.id === turnId ? { ...one, ...changed } : one)),
  }));
}
