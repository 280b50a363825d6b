import assert from "node:assert/strict";
import test, { after, afterEach, before } from "node:test";
import { chooseBrief, chooseEndless, goTo, isReal, onlyMock, openStage, until, whole } from "./stage.mjs";

/** @typedef {import("playwright-core").Page} Page */

/** @type {Awaited<ReturnType<typeof openStage>>} */
let stage;
before(async () => {
  stage = await openStage();
});
afterEach(() => stage.leave());
after(() => stage.close());

/** @param {Page} page @param {string} question */
async function ask(page, question) {
  await page.getByLabel("Your question").fill(question);
  await page.getByLabel("Your question").press("Enter");
}

/** @param {Page} page */
const answers = (page) => page.getByRole("article", { name: "Answer" });

test("an answer grows word by word and ends with what it took", async () => {
  const page = await stage.open({ page: "chat" });
  await chooseBrief(page);
  await ask(page, "What is a hearth?");
  const prose = answers(page).locator(".prose");
  await until(async () => (await prose.innerText().catch(() => "")) !== "", "no word comes", 120_000);
  if (!isReal) {
    const first = await prose.innerText();
    await until(async () => (await prose.innerText()) !== first, "the answer does not grow");
  }
  await whole(page);
  await answers(page)
    .getByText(/\d+ tokens? · .*first after/)
    .waitFor();
  await page.getByRole("button", { name: "Ask again" }).click();
  await whole(page);
  assert.equal(await answers(page).count(), 1, "the answer takes the other's place");
});

/** A chat whose question waits for the list of models, and how to answer for that; with null as the appliance does. */
async function waiting() {
  const page = await stage.open();
  /** @type {(answer: { status: number, json: object } | null) => void} */
  let tell = () => {};
  const told = new Promise((resolve) => {
    tell = resolve;
  });
  await page.route("**/v1/models", async (route) => {
    const answer = await told;
    await (answer === null ? route.continue() : route.fulfill(answer));
  });
  await goTo(page, "Chat");
  await ask(page, "What is a hearth?");
  await page.getByRole("button", { name: "Waking…" }).waitFor();
  assert.equal(await answers(page).count(), 0);
  return { page, tell };
}

test("a question that is sent before the engine has told its models waits for them", async () => {
  const { page, tell } = await waiting();
  tell(null);
  await answers(page).waitFor();
});

test(
  "a question that nobody can be asked stays in its field, also when somebody can be later",
  onlyMock,
  async () => {
    const held = {
      message: "an administrator has stopped the engine",
      type: "server_error",
      param: null,
      code: "engine_held",
    };
    for (const [answer, told] of /** @type {const} */ ([
      [{ status: 503, json: { error: held } }, "Engine held"],
      [{ status: 200, json: { object: "list", data: [] } }, "There is no model to ask."],
    ])) {
      const { page, tell } = await waiting();
      tell(answer);
      await page.getByText(told).waitFor();
      const send = page.getByRole("button", { name: "Send", exact: true });
      await send.waitFor();
      assert.equal(await page.getByLabel("Your question").inputValue(), "What is a hearth?");
      await page.unroute("**/v1/models");
      stage.mock?.appliance.tell("models", {});
      await until(() => send.isEnabled(), "the models that there are now are not noticed");
      assert.equal(await answers(page).count(), 0);
      await send.click();
      await answers(page).waitFor();
    }
  },
);

test("markdown is shown, markup is text, and code can be copied", onlyMock, async () => {
  const page = await stage.open({ page: "chat" });
  await ask(page, "Show me code");
  await whole(page);
  const answer = answers(page);
  await answer.getByRole("button", { name: "Copy this rust" }).click();
  await answer.getByRole("button", { name: "Copy this rust" }).getByText("Copied").waitFor();
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^\/\/\/ The sum[\s\S]*\n}$/);
  assert.equal(await answer.getByRole("cell").count(), 4);
  const links = await answer
    .getByRole("link")
    .evaluateAll((all) => all.map((link) => link.getAttribute("href")));
  assert.deepEqual(links, ["https://doc.rust-lang.org/", "https://doc.rust-lang.org/book/"]);

  await ask(page, "And <b>this</b>?");
  await whole(page);
  await answers(page).last().getByText("<b>not even this markup</b>").waitFor();
  assert.equal(await page.locator(".prose b").count(), 0);
  assert.ok(await page.locator(".prose strong", { hasText: "hearth" }).count());
});

test("an answer can be stopped, what came of it stays, and the next question is answered", async () => {
  const page = await stage.open({ page: "chat" });
  await chooseEndless(page);
  await ask(page, "Tell me a long story of a thousand words");
  const prose = answers(page).locator(".prose");
  await until(async () => (await prose.innerText().catch(() => "")).length > 40, "no words come", 120_000);
  await page.getByRole("button", { name: "Stop" }).click();
  await answers(page)
    .getByText(/^Stopped/)
    .waitFor();
  assert.ok((await prose.innerText()).length > 20);
  await chooseBrief(page);
  await ask(page, "And now a short one");
  await page.getByText("And now a short one", { exact: true }).last().waitFor();
  await until(async () => (await answers(page).count()) === 2, "there is no second answer");
  await whole(page);
});

test(
  "several conversations are kept, each with its own answer, and one can be deleted",
  onlyMock,
  async () => {
    const page = await stage.open({ page: "chat" });
    await ask(page, "First subject");
    await page.getByRole("button", { name: "New conversation" }).click();
    await ask(page, "Second subject");
    await whole(page);
    const list = page.getByRole("complementary", { name: "Conversations" });
    await list.getByRole("button", { name: "First subject", exact: true }).click();
    await page.getByText("You asked: First subject").waitFor();
    assert.equal(await page.getByText("You asked: Second subject").count(), 0);
    await list.getByRole("button", { name: "Delete the conversation First subject" }).click();
    await page.getByText("You asked: Second subject").waitFor();

    await page.getByRole("link", { name: "Overview" }).click();
    await page.getByRole("link", { name: "Chat" }).click();
    await page.getByText("You asked: Second subject").waitFor();
    await page.reload();
    assert.equal(await page.getByText("Second subject").count(), 0, "nothing is stored");
  },
);

test(
  "refusals are told with the time to wait, and failures in the middle with what came",
  onlyMock,
  async () => {
    const page = await stage.open({ page: "chat" });
    await ask(page, "Are you busy?");
    const box = answers(page).getByRole("alert");
    await box.getByText("Overloaded").waitFor();
    await box.getByText("Try again in 7 s.").waitFor();
    await ask(page, "Now fail");
    await answers(page).last().getByText("the engine ended").waitFor();
    await answers(page).last().getByText("You asked:").waitFor();
  },
);

test("another model can be chosen", onlyMock, async () => {
  const page = await stage.open({ page: "chat" });
  await page.getByLabel("Model", { exact: true }).selectOption("broken-7b-instruct");
  await ask(page, "Hello");
  await answers(page).getByText("is in quarantine").waitFor();
});
