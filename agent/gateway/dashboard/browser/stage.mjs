// A browser in front of an appliance: the made-up one, or the one that HEARTH_URL names.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import { TOKENS } from "../mock/appliance.mjs";
import { startMock } from "../mock/server.mjs";

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {import("playwright-core").BrowserContextOptions} Options */

/** The appliance's address; without one the mock is asked. */
const realUrl = process.env.HEARTH_URL;
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const SHOTS = new URL("shots/", import.meta.url).pathname;

/** Whether a real appliance is asked. What only the mock can be made to do is not tested there. */
export const isReal = realUrl !== undefined;
export const onlyMock = {
  skip: isReal ? "only the mock can be made to do this" : false,
  only: process.execArgv.includes("--test-only"),
};
/** Daemons that run on some host: what they set of its network is written to a folder and put into force by nobody. */
const isOnHost = process.env.HEARTH_ON_HOST !== undefined;
export const notElsewhere = {
  skip: isReal && !isOnHost ? "it would cut the connection to an appliance that is one" : false,
};

/** The greatest width of a screen that counts as a telephone's here. */
export const PHONE = { width: 360, height: 740 };
export const DESK = { width: 1280, height: 860 };

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Opens a browser; every page of it is asked for errors when it is closed. */
export async function openStage() {
  const mock = isReal ? null : await startMock(0);
  // Not by the context's `ignoreHTTPSErrors`: chromium then begins a page that is loaded anew over and over at times, until
  // it gives up.
  const trust = isReal ? ["--ignore-certificate-errors"] : [];
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", ...trust] });
  const url = realUrl ?? mock?.url ?? "";
  /** @type {string[]} */
  const faults = [];

  return {
    mock,
    url,

    /**
     * A page of its own, signed in unless `token` is null.
     * @param {{ token?: string | null, page?: string } & Options} [options]
     */
    async open({ token = adminToken(), page = "overview", ...options } = {}) {
      const context = await browser.newContext({ viewport: DESK, ...options });
      await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: url });
      const opened = await context.newPage();
      listen(opened, faults);
      await opened.goto(`${url}/#/${page}`);
      if (token !== null) await signIn(opened, token);
      return opened;
    },

    /** Closes all pages: each has connections, of which an address has so many and no more. */
    async leave() {
      await Promise.all(browser.contexts().map((context) => context.close()));
    },

    async close() {
      await browser.close();
      await mock?.close();
      assert.deepEqual(faults, [], "the page has failed somewhere");
    },
  };
}

/** The token for administration. */
export function adminToken() {
  if (!isReal) return TOKENS.admin;
  const token = process.env.HEARTH_TOKEN;
  if (token === undefined)
    throw new Error("HEARTH_URL is set, so HEARTH_TOKEN must be: a token with the role admin");
  return token;
}

/** @param {Page} page @param {string} token */
export async function signIn(page, token) {
  const field = page.getByLabel("Token", { exact: true });
  await field.fill(token).catch(async (cause) => {
    throw new Error(`nobody can sign in; shown is: ${await page.locator("body").innerText()}`, { cause });
  });
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("navigation", { name: "Pages" }).waitFor();
}

/** @param {Page} page @param {string} name */
export async function goTo(page, name) {
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name }).click();
  await page.getByRole("heading", { level: 1, name }).waitFor();
}

/** Errors of scripts and of the content policy; answers with an error's status are part of the tests. */
function listen(/** @type {Page} */ page, /** @type {string[]} */ faults) {
  page.on("pageerror", (error) => faults.push(error.stack ?? String(error)));
  page.on("console", (message) => {
    if (message.type() === "error" && !/Failed to load resource|ERR_/.test(message.text()))
      faults.push(message.text());
  });
}

/** Chooses the model whose answers are soon over, where there is such a one. @param {Page} page */
export const chooseBrief = (page) => choose(page, process.env.HEARTH_BRIEF);

/** Chooses the model whose answers take long enough to be stopped, where not every model's do. @param {Page} page */
export const chooseEndless = (page) => choose(page, process.env.HEARTH_ENDLESS);

/** @param {Page} page @param {string | undefined} model */
async function choose(page, model) {
  if (model !== undefined) await page.getByLabel("Model", { exact: true }).selectOption(model);
}

/** Waits for an answer's end, also of an emulated machine, which writes a word a second. @param {Page} page */
export async function whole(page) {
  await page.getByRole("button", { name: "Ask again" }).waitFor({ timeout: 600_000 });
}

/** Lets a page send no more than so many bytes a second. @param {Page} page @param {number} bytes */
export async function sendSlowly(page, bytes) {
  const browser = await page.context().newCDPSession(page);
  const conditions = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: bytes };
  await browser.send("Network.emulateNetworkConditions", conditions);
}

/** Waits until a page's own words are no longer what they were. @param {import("playwright-core").Locator} locator */
export async function changed(locator, was = "") {
  const before = was || (await locator.innerText());
  await until(async () => (await locator.innerText()) !== before, `${before} has not changed`);
  return locator.innerText();
}

/**
 * Waits until something is so.
 * @param {() => Promise<boolean>} isSo
 * @param {string} complaint
 */
export async function until(isSo, complaint, milliseconds = 20_000) {
  const end = Date.now() + milliseconds;
  while (!(await isSo())) {
    if (Date.now() > end) assert.fail(complaint);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** What axe finds wrong with what is shown. @param {Page} page */
export async function axe(page) {
  await page.evaluate(axeSource);
  /** @type {import("axe-core").AxeResults} */
  const results = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })");
  return results.violations.map(({ id, impact, nodes }) => ({
    id,
    impact,
    nodes: nodes.map(({ html, failureSummary }) => `${html}\n${failureSummary}`),
  }));
}

/** By how many pixels the page is wider than its window. @param {Page} page */
export function overhang(page) {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}

/** Words that only a mistake brings to a page. @param {Page} page */
export async function slips(page) {
  const text = await page.evaluate(() => document.body.innerText);
  return text.match(/\b(NaN|undefined|null|Infinity|Invalid Date)\b|\[object/g) ?? [];
}

/** Takes a picture to be looked at. @param {Page} page @param {string} name */
export async function shot(page, name, fullPage = true) {
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: `${SHOTS}${name}.png`, fullPage });
}
