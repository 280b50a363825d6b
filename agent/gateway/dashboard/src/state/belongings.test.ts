import assert from "node:assert/strict";
import test from "node:test";
import type { Session } from "../api/contract";
import { keepFor } from "./belongings";
import { chats, openOf, setDraft } from "./chats";

const signed = (id: string): Session => ({
  id,
  name: "laptop",
  role: "chat",
  expires: "2026-11-02T18:40:00Z",
});
const draft = () => openOf(chats.value).draft;

test("whoever comes back finds what was being typed, and a namesake does not", () => {
  keepFor(signed("a1"));
  setDraft(chats.value.open, "half a thought");
  keepFor(signed("a1"));
  assert.equal(draft(), "half a thought");
  keepFor(signed("b2"));
  assert.equal(draft(), "");
});
