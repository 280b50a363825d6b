import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import test, { after, afterEach, before } from "node:test";
import { isReal, onlyMock, openStage, sendSlowly, shot, until } from "./stage.mjs";

/** @typedef {import("playwright-core").Page} Page */

/** @type {Awaited<ReturnType<typeof openStage>>} */
let stage;
before(async () => {
  stage = await openStage();
});
afterEach(() => stage.leave());
after(() => stage.close());

/** A model's file: HEARTH_GGUF for an appliance, which reads it; the mock looks at its first bytes alone. */
function modelFile(name = "tiny.gguf", bytes = 6_000_000) {
  const path = process.env.HEARTH_GGUF;
  if (isReal && path === undefined)
    throw new Error("HEARTH_GGUF must name a model's file that can be uploaded");
  const buffer = isReal && path !== undefined ? readFileSync(path) : Buffer.alloc(bytes, "GGUF");
  return {
    name: isReal && path !== undefined ? basename(path) : name,
    mimeType: "application/octet-stream",
    buffer,
  };
}

/** @param {Page} page @param {string} name @param {ReturnType<typeof modelFile> | string} file */
async function send(page, name, file) {
  await page.getByRole("button", { name: "Add a model" }).click();
  await page.getByLabel("GGUF file").setInputFiles(file);
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByRole("button", { name: "Send it" }).click();
}

/** @param {Page} page @param {string} name */
const card = (page, name) => page.getByRole("article", { name, exact: true });

test("a model is uploaded with a pause, packed, verified and deleted", async () => {
  const page = await stage.open({ page: "models" });
  const file = modelFile();
  // Six seconds, so that there is time to pause.
  await sendSlowly(page, file.buffer.length / 6);
  await send(page, "uploaded", file);
  const sending = page.getByRole("region", { name: "Sending uploaded" });
  const bar = sending.getByRole("progressbar");
  await until(async () => Number(await bar.getAttribute("value")) > 0, "nothing is sent");
  await page.getByRole("button", { name: "Pause uploaded" }).click();
  await sending.getByText(/ · paused$/).waitFor();
  const paused = await sending.locator(".work-foot").innerText();
  const isQuiet = await page
    .waitForRequest((request) => request.method() === "PATCH", { timeout: 1_000 })
    .then(() => false)
    .catch(() => true);
  assert.ok(isQuiet, "nothing is sent while it is paused");
  assert.equal(await sending.locator(".work-foot").innerText(), paused);
  await shot(page, "upload-paused", false);
  await page.getByRole("button", { name: "Resume uploaded" }).click();
  await page.getByRole("region", { name: "Adding uploaded" }).waitFor();
  await card(page, "uploaded").waitFor({ timeout: 300_000 });

  await page.getByRole("button", { name: "Verify uploaded" }).click();
  const verifying = page.getByRole("region", { name: "Verifying uploaded" });
  await verifying.getByText(/^Whole: [\d,]+ blocks? read/).waitFor({ timeout: 120_000 });
  await verifying.getByRole("button", { name: /^Dismiss/ }).click();
  await verifying.waitFor({ state: "detached" });

  await page.getByRole("button", { name: "Delete uploaded" }).click();
  await page.getByRole("button", { name: "Keep it" }).click();
  assert.equal(await card(page, "uploaded").count(), 1);
  await page.getByRole("button", { name: "Delete uploaded" }).click();
  await page.getByRole("button", { name: "Delete it" }).click();
  await card(page, "uploaded").waitFor({ state: "detached" });
});

test("an upload survives a lost connection", onlyMock, async () => {
  const page = await stage.open({ page: "models" });
  await send(page, "survivor", modelFile());
  const sending = page.getByRole("region", { name: "Sending survivor" });
  await until(
    async () => Number(await sending.getByRole("progressbar").getAttribute("value")) > 0,
    "nothing is sent",
  );
  await stage.mock?.interrupt();
  await sending.getByText("no connection, goes on by itself").waitFor();
  await stage.mock?.resume();
  await card(page, "survivor").waitFor();
});

test("an upload that was begun goes on after the page was loaded anew", onlyMock, async () => {
  const page = await stage.open({ page: "models" });
  const folder = mkdtempSync(join(tmpdir(), "hearth-"));
  const file = join(folder, "again.gguf");
  writeFileSync(file, Buffer.alloc(20_000_000, "GGUF"));
  await send(page, "again", file);
  const foot = () => page.getByRole("region", { name: "Sending again" }).locator(".work-foot");
  await until(async () => /^[1-9].* MB of/.test(await foot().innerText()), "nothing is sent");
  page.on("dialog", (dialog) => void dialog.accept());
  await page.reload();
  const started = page.waitForResponse((response) => response.url().endsWith("/uploads"));
  await send(page, "again", file);
  const { offset } = await (await started).json();
  assert.ok(offset > 0 && offset < 20_000_000, `it begins at ${offset}`);
  await page.getByRole("button", { name: "Cancel again" }).click();
  await page.getByRole("region", { name: "Sending again" }).waitFor({ state: "detached" });
  const anew = page.waitForResponse((response) => response.url().endsWith("/uploads"));
  await send(page, "again", file);
  assert.deepEqual((await (await anew).json()).offset, 0, "what was cancelled is thrown away");
  await page.getByRole("button", { name: "Cancel again" }).click();
  rmSync(folder, { recursive: true });
});

test("another file of the same name and size does not go on where the first one was", onlyMock, async () => {
  const page = await stage.open({ page: "models" });
  const folder = mkdtempSync(join(tmpdir(), "hearth-"));
  const file = join(folder, "other.gguf");
  const began = async () => {
    const started = page.waitForResponse((response) => response.url().endsWith("/uploads"));
    await send(page, "other", file);
    return await (await started).json();
  };
  page.on("dialog", (dialog) => void dialog.accept());
  const first = Buffer.alloc(20_000_000, "GGUF");
  writeFileSync(file, first);
  const { id } = await began();
  await page.reload();
  first.fill("x", first.length - 1);
  writeFileSync(file, first);
  const other = await began();
  assert.notEqual(other.id, id);
  assert.equal(other.offset, 0);
  await page.getByRole("button", { name: "Cancel other" }).click();
  rmSync(folder, { recursive: true });
});

test("a file that is no model is refused with its reason", onlyMock, async () => {
  const page = await stage.open({ page: "models" });
  const file = {
    name: "notes.gguf",
    mimeType: "application/octet-stream",
    buffer: Buffer.alloc(500_000, "x"),
  };
  await send(page, "notes", file);
  await page.getByRole("alert").getByText("this is no GGUF file").waitFor();
  assert.equal(await card(page, "notes").count(), 0);
});

test("names and files that cannot be are told before anything is sent", async () => {
  const page = await stage.open({ page: "models" });
  await page.getByRole("button", { name: "Add a model" }).click();
  await page.getByRole("button", { name: "Send it" }).click();
  await page.getByText("Choose a file.").waitFor();
  const part = {
    name: "Big-00001-of-00003.gguf",
    mimeType: "application/octet-stream",
    buffer: Buffer.from("GGUF"),
  };
  await page.getByLabel("GGUF file").setInputFiles(part);
  await page.getByText("This is a part of a model.").waitFor();
  assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "big");
  await page.getByLabel("Name", { exact: true }).fill("a b");
  await page.getByText("Write a name that begins with").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
});

test("a model's settings are kept, and it becomes the default", onlyMock, async () => {
  const page = await stage.open({ page: "models" });
  const name = "smollm2-135m-instruct";
  await page.getByRole("button", { name: `Settings of ${name}` }).click();
  const stay = page.getByLabel("Stay loaded after an answer for");
  await stay.fill("for a while");
  await page.getByText("Write a number of seconds, or a duration").waitFor();
  await stay.fill("10m");
  await page.getByLabel("Context, in tokens").fill("4096");
  await page.getByLabel("Pin it").check();
  await page.getByRole("button", { name: "Save" }).click();
  await card(page, name).getByText("pinned").waitFor();
  await page.getByRole("button", { name: `Settings of ${name}` }).click();
  assert.equal(await stay.inputValue(), "10m");
  assert.equal(await page.getByLabel("Context, in tokens").inputValue(), "4096");
  await page.getByRole("button", { name: "Cancel" }).click();

  await page.getByRole("button", { name: "Make default: qwen2.5-coder-1.5b-instruct" }).click();
  await card(page, "qwen2.5-coder-1.5b-instruct").getByText("default", { exact: true }).waitFor();
  await card(page, name).getByText("default", { exact: true }).waitFor({ state: "detached" });
});

test("a model in quarantine tells why and can be released", onlyMock, async () => {
  const page = await stage.open({ page: "models" });
  const broken = card(page, "broken-7b-instruct");
  await broken.getByText("the engine ended five times").waitFor();
  assert.equal(await broken.getByRole("button", { name: /^Load/ }).count(), 0);
  await broken.getByRole("button", { name: /^Release/ }).click();
  await broken.getByText("the engine ended five times").waitFor({ state: "detached" });
  await broken.getByRole("button", { name: /^Load/ }).waitFor();
});

test("damaged blocks are named, and a verification can be cancelled", onlyMock, async () => {
  const page = await stage.open({ page: "models" });
  await page.getByRole("button", { name: /^Verify a-damaged-model/ }).click();
  await page.getByText("Block 17: the hash differs (blk.3.ffn_down.weight").waitFor();
  await shot(page, "verified-damaged", false);
  await page.getByRole("button", { name: "Verify qwen2.5-coder-1.5b-instruct" }).click();
  const verifying = page.getByRole("region", { name: "Verifying qwen2.5-coder-1.5b-instruct" });
  await verifying.getByRole("button", { name: /^Cancel/ }).click();
  await verifying.getByText("Cancelled.").waitFor();
});
