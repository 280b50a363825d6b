import assert from "node:assert/strict";
import test from "node:test";
import { Problem } from "./problem";
import { LARGEST_CHUNK, nextChunk, Upload, type UploadDoor, type UploadState } from "./upload";

const SIZE = 3_000_000;

/** An appliance that keeps what it gets, and fails when it is told to. */
class Appliance implements UploadDoor {
  held = 0;
  /** Whether a job has begun with it, and whether none can. */
  isWhole = false;
  isBusy = false;
  started = 0;
  cancelled = 0;
  waited: number[] = [];
  /** What goes wrong, by the number of the part. */
  faults = new Map<number, () => void>();
  #parts = 0;
  #clock = 0;

  async start() {
    this.started += 1;
    return { id: "u1", offset: this.held };
  }

  async send(_id: string, offset: number, chunk: Blob) {
    this.#parts += 1;
    this.#clock += 10;
    if (offset !== this.held) throw new Problem("Conflict", `it is at ${this.held}`, 409);
    const fault = this.faults.get(this.#parts);
    fault?.();
    this.held += chunk.size;
    this.isWhole = this.held === SIZE && !this.isBusy;
    if (this.isBusy && this.held === SIZE) throw new Problem("Conflict", "eight jobs go on", 409);
    return { offset: this.held, isWhole: this.isWhole };
  }

  async offset() {
    return { offset: this.held, isWhole: this.isWhole };
  }

  async cancel() {
    this.cancelled += 1;
  }

  async wait(attempt: number) {
    this.waited.push(attempt);
  }

  now() {
    return this.#clock;
  }
}

function uploadTo(appliance: Appliance) {
  const states: UploadState[] = [];
  const upload = new Upload(new Blob([new Uint8Array(SIZE)]), appliance, (state) => states.push(state));
  return { upload, states, last: () => states.at(-1) };
}

test("a file arrives whole", async () => {
  const appliance = new Appliance();
  const { upload, last } = uploadTo(appliance);
  await upload.run();
  assert.equal(appliance.held, SIZE);
  assert.deepEqual(last(), { phase: "sent", offset: SIZE });
});

test("what the appliance has already is not sent again", async () => {
  const appliance = new Appliance();
  appliance.held = 2_900_000;
  const { upload, states } = uploadTo(appliance);
  await upload.run();
  assert.deepEqual(
    states.map((state) => state.offset),
    [0, 2_900_000, SIZE],
  );
});

test("a lost connection is waited out, and the part that arrived all the same is not sent twice", async () => {
  const appliance = new Appliance();
  appliance.faults.set(2, () => {
    appliance.held += 100; // A piece of it had arrived.
    throw new Problem("No connection", "", 0);
  });
  const { upload, states, last } = uploadTo(appliance);
  await upload.run();
  assert.deepEqual(appliance.waited, [1]);
  assert.ok(states.some((state) => state.phase === "waiting"));
  assert.equal(last()?.phase, "sent");
  assert.equal(appliance.held, SIZE);
});

test("a file of which no job can begin yet is not given out as sent", async () => {
  const appliance = new Appliance();
  appliance.isBusy = true;
  const { upload, last } = uploadTo(appliance);
  await upload.run();
  assert.ok(last()?.phase === "failed" && appliance.held === SIZE);
  appliance.isBusy = false;
  await upload.run();
  assert.deepEqual(last(), { phase: "sent", offset: SIZE });
  assert.ok(appliance.isWhole);
});

test("paused it stays where it is, and resumed it goes on there", async () => {
  const appliance = new Appliance();
  const { upload, last } = uploadTo(appliance);
  appliance.faults.set(2, () => upload.pause());
  await upload.run();
  assert.equal(last()?.phase, "paused");
  const held = appliance.held;
  assert.ok(held > 0 && held < SIZE);
  await upload.run();
  assert.equal(last()?.phase, "sent");
  assert.equal(appliance.started, 1);
});

test("cancelled it is thrown away on the appliance, too", async () => {
  const appliance = new Appliance();
  const { upload, last } = uploadTo(appliance);
  let cancelling: Promise<void> | undefined;
  appliance.faults.set(2, () => {
    cancelling = upload.cancel();
  });
  await upload.run();
  await cancelling;
  assert.equal(last()?.phase, "cancelled");
  assert.equal(appliance.cancelled, 1);
});

test("what does not pass by itself fails with its reason, and can be tried again", async () => {
  const appliance = new Appliance();
  appliance.faults.set(1, () => {
    throw new Problem("Not enough room", "12 MB are missing", 507);
  });
  appliance.faults.set(2, () => {
    throw new Problem("Not found", "there is no such upload", 404);
  });
  const { upload, last } = uploadTo(appliance);
  await upload.run();
  const failed = last();
  assert.ok(failed?.phase === "failed" && failed.problem.title === "Not enough room");
  await upload.run();
  assert.equal(last()?.phase, "failed");
  await upload.run();
  assert.equal(last()?.phase, "sent");
  assert.equal(appliance.started, 2, "the one that was not found began anew");
});

test("parts grow and shrink by the half at most, within their limits", () => {
  assert.equal(nextChunk(1_000_000, 700), 1_000_000);
  assert.equal(nextChunk(1_000_000, 1), 2_000_000);
  assert.equal(nextChunk(1_000_000, 60_000), 500_000);
  assert.equal(nextChunk(LARGEST_CHUNK, 1), LARGEST_CHUNK);
  assert.equal(nextChunk(300_000, 60_000), 262_144);
});
