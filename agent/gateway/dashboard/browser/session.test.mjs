import assert from "node:assert/strict";
import test, { after, afterEach, before } from "node:test";
import { TOKENS } from "../mock/appliance.mjs";
import { adminToken, goTo, onlyMock, openStage, signIn } from "./stage.mjs";

/** @type {Awaited<ReturnType<typeof openStage>>} */
let stage;
before(async () => {
  stage = await openStage();
});
afterEach(() => stage.leave());
after(() => stage.close());

test("a wrong token is refused in the appliance's words, the right one opens the page", async () => {
  const page = await stage.open({ token: null });
  await page.getByLabel("Token", { exact: true }).fill("hearth_wrong");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").getByText("No valid token").waitFor();
  await signIn(page, adminToken());
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
});

test("the session is a cookie that no script can read, and the token is kept nowhere", async () => {
  const page = await stage.open();
  const cookies = await page.context().cookies();
  const session = cookies.find(({ name }) => name === "__Host-hearth-session");
  assert.ok(session?.httpOnly && session.secure && session.sameSite === "Strict", JSON.stringify(cookies));
  assert.equal(await page.evaluate(() => document.cookie), "");
  const kept = await page.evaluate(() => JSON.stringify([localStorage, sessionStorage, location.href]));
  assert.ok(!kept.includes(adminToken()));
  await page.reload();
  await page.getByRole("navigation", { name: "Pages" }).waitFor();
});

test("signed out, the page is the login again, also after reloading", async () => {
  const page = await stage.open();
  await page.getByRole("button", { name: /^Sign out/ }).click();
  await page.getByLabel("Token", { exact: true }).waitFor();
  await page.reload();
  await page.getByLabel("Token", { exact: true }).waitFor();
});

test("a session that the appliance has ended is told, and the page goes on after it", onlyMock, async () => {
  const page = await stage.open();
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  stage.mock?.appliance.sessions.endAll();
  await page.evaluate(() => {
    location.hash = "#/tokens";
  });
  await page.getByText("Your session has ended").waitFor();
  await signIn(page, adminToken());
  await page.getByRole("heading", { level: 1, name: "Tokens" }).waitFor();
});

test(
  "conversations and uploads outlast the session of who began them, and nobody else sees them",
  onlyMock,
  async () => {
    const page = await stage.open();
    await goTo(page, "Chat");
    await page.getByLabel("Your question").fill("half a thought");
    await goTo(page, "Models");
    await page.getByRole("button", { name: "Add a model" }).click();
    const file = {
      name: "kept.gguf",
      mimeType: "application/octet-stream",
      buffer: Buffer.alloc(50_000_000),
    };
    await page.getByLabel("GGUF file").setInputFiles(file);
    await page.getByRole("button", { name: "Send it" }).click();
    const sending = page.getByRole("region", { name: "Sending kept" });
    await sending.getByRole("button", { name: "Pause kept" }).waitFor();
    stage.mock?.appliance.sessions.endAll();
    await page.getByText("Your session has ended").waitFor();
    await signIn(page, adminToken());
    await sending.getByRole("button", { name: "Resume kept" }).waitFor();
    await goTo(page, "Chat");
    assert.equal(await page.getByLabel("Your question").inputValue(), "half a thought");

    stage.mock?.appliance.sessions.endAll();
    await page.evaluate(() => {
      location.hash = "#/models";
    });
    await page.getByText("Your session has ended").waitFor();
    await signIn(page, TOKENS.chat);
    assert.equal(await sending.count(), 0);
    await goTo(page, "Chat");
    assert.equal(await page.getByLabel("Your question").inputValue(), "");
  },
);

test("each role sees what it may", onlyMock, async () => {
  const reader = await stage.open({ token: TOKENS.read });
  const pages = reader.getByRole("navigation", { name: "Pages" }).getByRole("link");
  assert.deepEqual(await pages.allInnerTexts(), ["Overview", "Models"]);
  await goTo(reader, "Models");
  await reader.getByRole("article").first().waitFor();
  assert.equal(await reader.getByRole("article").getByRole("button").count(), 0);
  await reader.goto(`${stage.url}/#/tokens`);
  await reader.getByText("This page needs a token with the role").waitFor();

  const chatter = await stage.open({ token: TOKENS.chat });
  const more = chatter.getByRole("navigation", { name: "Pages" }).getByRole("link");
  assert.deepEqual(await more.allInnerTexts(), ["Overview", "Chat", "Models"]);
  await goTo(chatter, "Models");
  await chatter.getByRole("button", { name: "Load smollm2-135m-instruct" }).waitFor();
  assert.equal(await chatter.getByRole("button", { name: "Add a model" }).count(), 0);
  assert.equal(await chatter.getByRole("button", { name: /^Delete/ }).count(), 0);
});

test("too many guesses are told with the time to wait", onlyMock, async () => {
  const page = await stage.open({ token: null });
  for (let guess = 0; guess < 6; guess += 1) {
    await page.getByLabel("Token", { exact: true }).fill(`hearth_guess${guess}`);
    const answer = page.waitForResponse((response) => response.url().endsWith("/api/v1/session"));
    await page.getByRole("button", { name: "Sign in" }).click();
    await answer;
  }
  await page.getByText("Too many failed attempts").waitFor();
  await page.getByText(/Try again in \d+ s/).waitFor();
});
