import type { Session } from "../api/contract";
import { forgetChats } from "./chats";
import { stopUploads } from "./uploads";

/** By the id of their token: whose the conversations and the uploads are that this page holds. */
let owner: string | null = null;

/** Says who is signed in. What somebody else has left is forgotten before it can be shown. */
export function keepFor({ id }: Session): void {
  if (owner !== null && owner !== id) forgetAll();
  owner = id;
}

/** Whoever it belongs to has signed out. */
export function forgetAll(): void {
  owner = null;
  stopUploads();
  forgetChats();
}
