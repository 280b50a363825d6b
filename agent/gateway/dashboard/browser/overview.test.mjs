import assert from "node:assert/strict";
import test, { after, afterEach, before } from "node:test";
import { changed, isReal, onlyMock, openStage, shot, until } from "./stage.mjs";

/** @type {Awaited<ReturnType<typeof openStage>>} */
let stage;
before(async () => {
  stage = await openStage();
});
afterEach(() => stage.leave());
after(() => stage.close());

const METRICS = ["Temperature", "Clock", "Power", "Memory used", "Tokens"];

/** How many pixels of a chart are in a line's or an area's colour. @param {import("playwright-core").Page} page */
async function coloured(page, /** @type {string} */ label) {
  const canvas = page.getByRole("slider", { name: `${label} over time` }).locator("canvas");
  await canvas.waitFor();
  return canvas.evaluate((/** @type {HTMLCanvasElement} */ element) => {
    const image = element.getContext("2d")?.getImageData(0, 0, element.width, element.height).data ?? [];
    let count = 0;
    for (let at = 0; at < image.length; at += 4) {
      const [red = 0, green = 0, blue = 0, alpha = 0] = [
        image[at],
        image[at + 1],
        image[at + 2],
        image[at + 3],
      ];
      if (alpha > 0 && Math.max(red, green, blue) - Math.min(red, green, blue) > 60) count += 1;
    }
    return count;
  });
}

test("history is there first, and then the charts move", async () => {
  const page = await stage.open();
  for (const metric of METRICS) await page.getByRole("slider", { name: `${metric} over time` }).waitFor();
  await until(async () => (await coloured(page, "Memory used")) > 100, "the chart of memory is empty");
  const memory = page.locator('[data-metric="memory_used"]');
  assert.match(await memory.innerText(), /^[\d.]+ [MG]B$/);
  const slider = page.getByRole("slider", { name: "Memory used over time" });
  const told = async () => (await slider.getAttribute("aria-valuetext")) ?? "";
  for (let second = 0; second < 3; second += 1) {
    const before = await told();
    await until(async () => (await told()) !== before, "the chart of memory stands still");
  }
});

test("what was not measured is a dash and no number", onlyMock, async () => {
  const page = await stage.open();
  const tokens = page.locator('[data-metric="tokens_per_second"]');
  await page.locator('[data-metric="temperature"]', { hasText: "°C" }).waitFor();
  assert.equal(await tokens.innerText(), "–");
  const missing = page.getByRole("listitem").filter({ hasText: "nvme" });
  assert.match(await missing.innerText(), /missing\s*–/);
});

test("three spans of time can be shown", async () => {
  const page = await stage.open();
  for (const [name, seconds] of [
    ["3 hours", 10_800],
    ["7 days", 604_800],
    ["10 minutes", 600],
  ]) {
    const asked = page.waitForResponse((response) => response.url().endsWith(`samples?seconds=${seconds}`));
    await page.getByRole("radio", { name: String(name) }).check();
    assert.equal((await asked).status(), 200);
    // An appliance that has only just started has but a point of the longer spans.
    const least = isReal ? 5 : 100;
    await until(async () => (await coloured(page, "Memory used")) > least, `${name}: the chart is empty`);
    await shot(page, `range-${seconds}`, false);
  }
});

test("pointing at a chart tells the value of that moment in all of them", async () => {
  const page = await stage.open();
  const slider = page.getByRole("slider", { name: "Memory used over time" });
  await until(async () => (await coloured(page, "Memory used")) > 100, "the chart is empty");
  await slider.hover({ position: { x: 200, y: 60 } });
  await slider.getByText(/^\d\d:\d\d:\d\d: /).waitFor();
  await page
    .getByRole("slider", { name: "Temperature over time" })
    .getByText(/^\d\d:\d\d:\d\d: /)
    .waitFor();
});

test("warnings name what cannot be read and what is in quarantine", onlyMock, async () => {
  const page = await stage.open();
  const warnings = page.getByRole("region", { name: "Warnings" });
  await warnings.getByText("hwmon3/temp1_input").waitFor();
  await warnings.getByText("is in quarantine").waitFor();
  stage.mock?.appliance.tell("alert", {
    level: "error",
    message: "it is getting hot in here",
    time: new Date().toISOString(),
  });
  await warnings.getByText("it is getting hot in here").waitFor();
});

test("a lost connection is shown and comes back by itself", onlyMock, async () => {
  const page = await stage.open();
  const link = page.locator(".link");
  await until(async () => (await link.innerText()) === "Live", "it is not live");
  await stage.mock?.interrupt();
  await page.getByText("The connection is lost.").waitFor();
  assert.equal(await link.innerText(), "No connection");
  await shot(page, "lost", false);
  await stage.mock?.resume();
  await until(async () => (await link.innerText()) === "Live", "it does not come back");
  await page.getByText("The connection is lost.").waitFor({ state: "detached" });
  await changed(page.locator('[data-metric="temperature"]'));
});

test(
  "a page that nobody looks at asks for nothing, and catches up when it is seen again",
  onlyMock,
  async () => {
    const page = await stage.open();
    await page.getByText("Live", { exact: true }).waitFor();
    const before = stage.mock?.appliance.audience ?? 0;
    const show = (/** @type {boolean} */ isHidden) =>
      page.evaluate((hidden) => {
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
      }, isHidden);
    await show(true);
    await until(async () => stage.mock?.appliance.audience === before - 1, "it still listens");
    const history = page.waitForResponse((response) => response.url().includes("/samples?"));
    await show(false);
    await history;
    await until(async () => stage.mock?.appliance.audience === before, "it does not listen again");
  },
);

test("the engine's panel follows it and unloads its model", async () => {
  const page = await stage.open({ page: "models" });
  const model = page.getByRole("article").filter({ has: page.getByRole("button", { name: /^Load / }) });
  const name = (await model.first().getAttribute("aria-label")) ?? assert.fail("a model without a name");
  await page.getByRole("button", { name: `Load ${name}`, exact: true }).click();
  // Another one may be ready still.
  await page.getByRole("article", { name, exact: true }).getByText("loaded", { exact: true }).waitFor();
  await page.goto(`${stage.url}/#/overview`);
  await page.getByText("Ready to answer.").waitFor();
  await page.getByRole("button", { name: "Unload the model" }).click();
  await page.getByText(/^(Stopped|Parked):/).waitFor();
});
