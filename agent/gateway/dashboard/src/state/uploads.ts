import * as client from "../api/client";
import { pause, waitBefore } from "../api/follow";
import { identityOf } from "../api/identity";
import { Upload, type UploadDoor, type UploadState } from "../api/upload";
import { RateMeter } from "./rate";
import { Store } from "./store";

/** A file on its way, as the page shows it. */
export interface Sending {
  key: number;
  name: string;
  file: string;
  size: number;
  state: UploadState;
  /** Bytes per second of late; `null` until that can be told. */
  rate: number | null;
}

export const uploads = new Store<Sending[]>([]);

const running = new Map<number, Upload>();
let lastKey = 0;

/** Begins to send a file as a model. The file that was begun before goes on where it was. */
export function addUpload(name: string, file: File): void {
  lastKey += 1;
  const key = lastKey;
  const meter = new RateMeter();
  const upload = new Upload(file, doorFor(name, file), (state) => {
    const isMoving = state.phase === "sending" || state.phase === "sent";
    const rate = isMoving ? meter.at(performance.now(), state.offset) : meter.restart();
    change(key, { state, rate });
  });
  running.set(key, upload);
  const state: UploadState = { phase: "sending", offset: 0 };
  uploads.update((list) => [...list, { key, name, file: file.name, size: file.size, state, rate: null }]);
  void upload.run();
}

export function pauseUpload(key: number): void {
  running.get(key)?.pause();
}

/** Goes on with one that is paused or has failed. */
export function resumeUpload(key: number): void {
  void running.get(key)?.run();
}

/** Gives one up. It is gone from the list even if the appliance cannot be told: it throws old ones away itself. */
export async function cancelUpload(key: number): Promise<void> {
  const upload = running.get(key);
  forgetUpload(key);
  await upload?.cancel();
}

/** Takes one that has come to its end from the list. */
export function forgetUpload(key: number): void {
  running.delete(key);
  uploads.update((list) => list.filter((sending) => sending.key !== key));
}

/** Pauses all, as the session has ended by which they were sent. */
export function pauseUploads(): void {
  const isRefused = ({ state }: Sending) => state.phase === "failed" && state.problem.status === 401;
  const those = uploads.value.filter((sending) => isUnderWay(sending) || isRefused(sending));
  for (const { key } of those) pauseUpload(key);
}

/** Stops all, as whoever sent them has left. */
export function stopUploads(): void {
  for (const upload of running.values()) upload.pause();
  running.clear();
  uploads.set([]);
}

export function isUnderWay({ state }: Sending): boolean {
  return state.phase === "sending" || state.phase === "waiting" || state.phase === "paused";
}

/** The browser asks before it throws a half-sent file away. */
export function warnBeforeLeaving(): void {
  addEventListener("beforeunload", (event) => {
    if (uploads.value.some(isUnderWay)) event.preventDefault();
  });
}

function doorFor(name: string, file: File): UploadDoor {
  return {
    start: async () => client.startUpload(name, file.name, file.size, await identityOf(file)),
    send: client.sendChunk,
    offset: client.uploadOffset,
    cancel: client.cancelUpload,
    wait: (attempt, signal) => pause(waitBefore(attempt), signal),
    now: () => performance.now(),
  };
}

function change(key: number, changed: Partial<Sending>): void {
  uploads.update((list) => list.map((one) => (one.key === key ? { ...one, ...changed } : one)));
}
