import assert from "node:assert/strict";
import test, { after, afterEach, before } from "node:test";
import { adminToken, chooseEndless, openStage, until } from "./stage.mjs";

/** @typedef {import("playwright-core").Page} Page */

/** @type {Awaited<ReturnType<typeof openStage>>} */
let stage;
before(async () => {
  stage = await openStage();
});
afterEach(() => stage.leave());
after(() => stage.close());

/** What has the focus: its name, and whether it can be seen to have it. @param {Page} page */
function focused(page) {
  return page.evaluate(() => {
    const element = document.activeElement;
    if (!(element instanceof HTMLElement)) return { name: "", isVisible: false };
    const shown = element.matches(".segments input") ? element.nextElementSibling : element;
    const style = shown === null ? null : getComputedStyle(shown);
    const name = element.getAttribute("aria-label") ?? element.textContent?.trim() ?? "";
    return { name, isVisible: style?.outlineStyle === "solid" && Number.parseFloat(style.outlineWidth) >= 2 };
  });
}

/** Presses Tab until something has the focus. @param {Page} page @param {RegExp} name */
async function tabTo(page, name, key = "Tab") {
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press(key);
    const now = await focused(page);
    assert.ok(now.isVisible, `the focus on ${JSON.stringify(now.name)} cannot be seen`);
    if (name.test(now.name)) return;
  }
  assert.fail(`${name} cannot be reached by ${key}`);
}

test("signing in, asking and stopping without a mouse", async () => {
  const page = await stage.open({ token: null });
  await page.getByLabel("Token", { exact: true }).waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.type(adminToken());
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  await tabTo(page, /^Chat$/);
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 1, name: "Chat" }).waitFor();
  await page.getByLabel("Your question").waitFor();
  await until(
    () => page.evaluate(() => document.activeElement?.tagName === "TEXTAREA"),
    "the question's field has no focus",
  );
  await until(async () => (await page.getByLabel("Model", { exact: true }).count()) > 0, "there is no model");
  await chooseEndless(page);
  await page.getByLabel("Your question").focus();
  await page.keyboard.type("Tell me a long story");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Stop" }).waitFor();
  await tabTo(page, /^Stop$/);
  await page.keyboard.press("Enter");
  await page.getByText(/^Stopped/).waitFor();
});

test("the first stop leads past the menu", async () => {
  const page = await stage.open();
  await page.reload();
  await page.getByRole("heading", { level: 1 }).waitFor();
  await tabTo(page, /^Skip to the content$/);
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement?.id), "main");
  await page.keyboard.press("Tab");
  assert.ok(await page.evaluate(() => document.activeElement?.closest("main") !== null));
});

test("another page begins at its heading", async () => {
  const page = await stage.open();
  await page.getByRole("link", { name: "Models", exact: true }).press("Enter");
  // The link that was pressed has the same name.
  const heading = page.locator("h1:focus");
  await until(async () => (await heading.count()) === 1, "no heading has the focus");
  assert.equal(await heading.innerText(), "Models");
  assert.equal(await page.title(), "Models · Hearth");
});

test("a dialog holds the focus, Escape closes it and gives the focus back", async () => {
  const page = await stage.open({ page: "tokens" });
  await page.getByRole("button", { name: "New token" }).press("Enter");
  await page.getByRole("dialog").waitFor();
  for (let presses = 0; presses < 12; presses += 1) {
    await page.keyboard.press("Tab");
    // Between the last and the first element the browser's own buttons have their turn.
    const isInside = await page.evaluate(
      () => document.activeElement === document.body || document.activeElement?.closest("dialog") !== null,
    );
    assert.ok(isInside, "the focus has left the dialog");
  }
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.equal((await focused(page)).name, "New token");
});

test("arrow keys move along a chart and between choices", async () => {
  const page = await stage.open();
  const chart = page.getByRole("slider", { name: "Memory used over time" });
  await until(
    async () => /\d/.test((await chart.getAttribute("aria-valuetext")) ?? ""),
    "nothing is measured",
  );
  await chart.focus();
  await page.keyboard.press("Home");
  await until(
    async () => (await chart.getAttribute("aria-valuenow")) === "0",
    "it does not go to the beginning",
  );
  await page.keyboard.press("PageUp");
  await until(async () => Number(await chart.getAttribute("aria-valuenow")) > 0, "it does not go on");
  assert.ok((await focused(page)).isVisible);

  await page.getByRole("radio", { name: "10 minutes" }).focus();
  await page.keyboard.press("ArrowRight");
  assert.ok(await page.getByRole("radio", { name: "3 hours" }).isChecked());
  assert.ok((await focused(page)).isVisible);
});

test("everything that can be pressed can be reached, and its focus can be seen", async () => {
  const page = await stage.open({ page: "settings" });
  await page.getByRole("region", { name: "System" }).waitFor();
  await page.getByLabel("Time zone").waitFor();
  await page.getByRole("link", { name: "Download the authority" }).waitFor();
  await tabTo(page, /^Factory reset…$/);
  await tabTo(page, /^Skip to the content$/, "Shift+Tab");
});
