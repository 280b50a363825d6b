import assert from "node:assert/strict";
import test, { after, afterEach, before } from "node:test";
import {
  axe,
  chooseBrief,
  chooseEndless,
  DESK,
  goTo,
  onlyMock,
  openStage,
  overhang,
  PHONE,
  shot,
  slips,
  until,
  whole,
} from "./stage.mjs";

/** @typedef {import("playwright-core").Page} Page */

/** @type {Awaited<ReturnType<typeof openStage>>} */
let stage;
before(async () => {
  stage = await openStage();
});
afterEach(() => stage.leave());
after(() => stage.close());

/** Nothing serious, nothing at all: whoever adds to the page keeps it so. @param {Page} page @param {string} where */
async function wellMade(page, where) {
  assert.deepEqual(await axe(page), [], `axe on ${where}`);
  assert.ok((await overhang(page)) <= 0, `${where} is wider than its window`);
  assert.deepEqual(await slips(page), [], where);
}

/** Each page when what it shows is there. @type {[string, (page: Page) => Promise<unknown>][]} */
const PAGES = [
  ["Overview", (page) => page.locator('[data-metric="memory_used"]', { hasText: "B" }).waitFor()],
  ["Chat", (page) => page.getByLabel("Model", { exact: true }).waitFor()],
  ["Models", (page) => page.getByRole("article").first().waitFor()],
  [
    "Tokens",
    (page) =>
      page
        .getByRole("button", { name: /^Revoke/ })
        .first()
        .waitFor(),
  ],
  ["Logs", (page) => page.locator(".entry").first().waitFor()],
  ["Settings", (page) => page.getByRole("link", { name: "Download the authority" }).waitFor()],
];

/** @type {["desk" | "phone", typeof DESK][]} */
const SIZES = [
  ["desk", DESK],
  ["phone", PHONE],
];

for (const [size, viewport] of SIZES) {
  for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
    test(`every page is well made: ${size}, ${colorScheme}`, async () => {
      const options = { viewport, colorScheme, hasTouch: size === "phone", isMobile: size === "phone" };
      const login = await stage.open({ token: null, ...options });
      await login.getByLabel("Token", { exact: true }).waitFor();
      await wellMade(login, "the login");
      await shot(login, `login-${size}-${colorScheme}`);

      const page = await stage.open(options);
      assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), colorScheme);
      for (const [name, isThere] of PAGES) {
        await goTo(page, name);
        await isThere(page);
        await wellMade(page, name);
        await shot(page, `${name.toLowerCase()}-${size}-${colorScheme}`);
      }
    });

    test(`dialogs, answers and problems are well made: ${size}, ${colorScheme}`, async () => {
      const options = { viewport, colorScheme, hasTouch: size === "phone", isMobile: size === "phone" };
      const page = await stage.open({ page: "chat", ...options });
      await chooseBrief(page);
      await page
        .getByLabel("Your question")
        .fill("Write code that sums numbers, and a word that is veryveryverylong".padEnd(140, "g"));
      await page.getByRole("button", { name: "Send" }).click();
      await whole(page);
      await wellMade(page, "an answer");
      await shot(page, `answer-${size}-${colorScheme}`, false);

      await goTo(page, "Models");
      await page.getByRole("button", { name: "Add a model" }).click();
      await page.getByRole("button", { name: "Send it" }).click();
      await wellMade(page, "adding a model");
      await shot(page, `add-${size}-${colorScheme}`, false);
      await page.keyboard.press("Escape");
      await page
        .getByRole("button", { name: /^Settings of/ })
        .first()
        .click();
      await wellMade(page, "a model's settings");
      await shot(page, `model-settings-${size}-${colorScheme}`, false);
      await page.keyboard.press("Escape");

      await goTo(page, "Settings");
      await page.getByRole("button", { name: "Factory reset…" }).click();
      await wellMade(page, "a factory reset");
      await shot(page, `reset-${size}-${colorScheme}`, false);
      await page.keyboard.press("Escape");
      await page.getByLabel("Target in °C").fill("200");
      await page.getByRole("button", { name: "Set", exact: true }).click();
      await page.getByRole("region", { name: "Heat" }).getByRole("alert").waitFor();
      await wellMade(page, "a problem");
      await shot(page, `problem-${size}-${colorScheme}`);
    });
  }
}

test("colours can be switched, and stay switched", async () => {
  const page = await stage.open({ colorScheme: "light" });
  const shown = () => page.evaluate(() => document.documentElement.dataset.theme);
  const ground = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await ground();
  await page.getByRole("button", { name: /^Colours: as the system/ }).click();
  await page.getByRole("button", { name: /^Colours: light/ }).click();
  assert.equal(await shown(), "dark");
  assert.notEqual(await ground(), light);
  await page.reload();
  await page.getByRole("button", { name: /^Colours: dark/ }).waitFor();
  assert.equal(await shown(), "dark");
  await page.getByRole("button", { name: /^Colours: dark/ }).click();
  assert.equal(await shown(), "light");
  await page.emulateMedia({ colorScheme: "dark" });
  await until(async () => (await shown()) === "dark", "it does not go with the system");
});

test("nothing moves by itself where motion is not wanted", async () => {
  const page = await stage.open({ page: "chat", reducedMotion: "reduce" });
  await page.getByLabel("Model", { exact: true }).waitFor();
  const moving = await page.evaluate(() =>
    [...document.styleSheets]
      .flatMap((sheet) => [...sheet.cssRules])
      .filter((rule) => rule instanceof CSSStyleRule)
      .filter((rule) => rule.style.animationName || rule.style.transitionProperty)
      .map((rule) => rule.selectorText),
  );
  assert.deepEqual(moving, [], "motion stands outside @media (prefers-reduced-motion: no-preference)");
  await chooseEndless(page);
  await page.getByLabel("Your question").fill("Tell me a long story");
  await page.getByRole("button", { name: "Send" }).click();
  const running = await page.evaluate(() => document.getAnimations().length);
  assert.equal(running, 0);
  await page.getByRole("button", { name: "Stop" }).click();
});

/** Answers that a machine without sensors gives, or one that has gone mad. @type {[string, Record<string, object>][]} */
const EXTREMES = [
  [
    "nothing",
    {
      "/status": { capabilities: null, sample: null, agent_problem: "org.hearth.Agent1 has no owner" },
      "/samples": { rows: [] },
      "/thermal": { sensors: [], cooling: [], warnings: [], assumed: null, critical: null },
      "/power": { policies: [], package_watts: null },
      "/memory": { used: null, parts: null, cgroups: [], meminfo: { mem_total: null, mem_available: null } },
      "/engine": { model: null, tokens_per_second: null, quarantined: [] },
      "/models": { models: [] },
      "/tokens": { tokens: [] },
      "/network": { interfaces: [], interfaces_problem: "org.freedesktop.DBus.Error.ServiceUnknown: nobody" },
      "/v1/models": { data: [] },
    },
  ],
  [
    "huge",
    {
      "/status": {
        hostname: "a-host-name-as-long-as-the-rules-of-rfc-1123-allow-it-to-be-at-most",
        uptime_seconds: 3e9,
      },
      "/samples": {
        columns: ["time", "temperature", "clock", "power", "memory_used", "tokens_per_second"],
        rows: Array.from({ length: 300 }, (_, index) => [
          1_790_000_000 + index,
          index % 7 === 0 ? null : 104.9,
          5.9e9 * (index % 2),
          index > 150 ? 1_234.5 : 0,
          index * 1e12,
          index % 3 === 0 ? 0 : 123_456.7,
        ]),
      },
      "/memory": { used: Number.MAX_SAFE_INTEGER },
      "/engine": {
        model: "m".repeat(255),
        queued: 4_294_967_295,
        active: 4_294_967_295,
        tokens_per_second: 98_765.4,
      },
    },
  ],
];

for (const [name, changes] of EXTREMES) {
  test(`a machine that has ${name} is shown well`, onlyMock, async () => {
    const page = await stage.open({ viewport: PHONE, isMobile: true, hasTouch: true });
    await page.route(/\/v1\//, async (route) => {
      const path = new URL(route.request().url()).pathname;
      const change = changes[path.replace("/api/v1", "")];
      if (path.endsWith("/events")) return route.abort();
      if (change === undefined || route.request().method() !== "GET") return route.continue();
      const answer = await route.fetch();
      return route.fulfill({ response: answer, json: { ...(await answer.json()), ...change } });
    });
    await page.reload();
    await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
    await page.getByText("The connection is lost.").waitFor();
    for (const [title] of PAGES) {
      await goTo(page, title);
      await page.waitForLoadState("networkidle");
      await wellMade(page, `${title} of a machine that has ${name}`);
      await shot(page, `${name}-${title.toLowerCase()}`);
    }
  });
}
