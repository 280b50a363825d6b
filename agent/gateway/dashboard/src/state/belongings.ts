import { forgetChats } from "./chats";
import { stopUploads } from "./uploads";

/** By the name of their token: whose the conversations and the uploads are that this page holds. */
let owner: string | null = null;

/** Says who is signed in. What somebody else has left is forgotten before it can be shown. */
export function keepFor(name: string): void {
  if (owner !== null && owner !== name) forgetAll();
  owner = name;
}

/** Whoever it belongs to has signed out. */
export function forgetAll(): void {
  owner = null;
  stopUploads();
  forgetChats();
}
