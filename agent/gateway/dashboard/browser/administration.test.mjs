import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, afterEach, before } from "node:test";
import { isReal, notElsewhere, onlyMock, openStage, shot, until } from "./stage.mjs";

/** @type {Awaited<ReturnType<typeof openStage>>} */
let stage;
before(async () => {
  stage = await openStage();
});
afterEach(() => stage.leave());
after(() => stage.close());

/** A certificate and its key, as openssl makes them. */
function certificate() {
  const folder = mkdtempSync(join(tmpdir(), "hearth-"));
  const [certificatePath, keyPath] = [join(folder, "own.pem"), join(folder, "key.pem")];
  const asked = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=hearth.test";
  const names = ["-addext", "subjectAltName=DNS:hearth.test", "-out", certificatePath, "-keyout", keyPath];
  execFileSync("openssl", [...asked.split(" "), ...names], { stdio: "ignore" });
  const made = { certificate: readFileSync(certificatePath, "utf8"), key: readFileSync(keyPath, "utf8") };
  rmSync(folder, { recursive: true });
  return made;
}

test("a token is shown once, works, and no longer works when it is revoked", async () => {
  const page = await stage.open({ page: "tokens" });
  await page.getByRole("button", { name: "New token" }).click();
  await page.getByLabel("Name", { exact: true }).fill("browser test");
  await page.getByLabel("Role").selectOption("read");
  await page.getByRole("button", { name: "Make it" }).click();
  const dialog = page.getByRole("dialog");
  const secret = await dialog.locator(".secret code").innerText();
  assert.match(secret, /^hearth_\S{20,}$/);
  await shot(page, "secret", false);
  await dialog.getByRole("button", { name: "Copy the token" }).click();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secret);
  await dialog.getByRole("button", { name: "I have kept it" }).click();
  await page.getByText("browser test", { exact: true }).waitFor();
  assert.ok(!(await page.content()).includes(secret));

  const other = await stage.open({ token: secret });
  await page.getByRole("button", { name: "Revoke browser test" }).click();
  await page.getByRole("button", { name: "Revoke it" }).click();
  await page.getByText("browser test is revoked.").waitFor();
  await other.reload();
  await other.getByLabel("Token", { exact: true }).fill(secret);
  await other.getByRole("button", { name: "Sign in" }).click();
  await other.getByText("No valid token").waitFor();
});

test("who would revoke the token that they are signed in with is warned", onlyMock, async () => {
  const page = await stage.open({ page: "tokens" });
  await page.getByRole("button", { name: "Revoke laptop" }).click();
  await page.getByText("the token that you are signed in with").waitFor();
});

test("the journal is followed and filtered", async () => {
  const page = await stage.open({ page: "logs" });
  const entries = page.getByRole("list", { name: /^Entries/ }).getByRole("listitem");
  await entries.first().waitFor();
  if (!isReal) {
    const before = await entries.count();
    await until(async () => (await entries.count()) > before, "no entry comes");
  }
  await page.getByLabel("Follow").uncheck();
  await page.getByLabel("Priority").selectOption("7");
  await page.getByLabel("Unit").fill("hearthd.service");
  const only = () => entries.locator(".entry-unit").allInnerTexts();
  await until(
    async () => (await only()).length > 0 && (await only()).every((unit) => unit === "hearthd"),
    "others",
  );
  await page.getByLabel("Containing").fill("no entry says this, does it?");
  await page.getByText("No entry fits.").waitFor();
});

test("graver entries alone can be shown", onlyMock, async () => {
  const page = await stage.open({ page: "logs" });
  await page.getByLabel("Priority").selectOption("3");
  const texts = () => page.locator(".entry-text").allInnerTexts();
  await until(
    async () => (await texts()).length > 0 && (await texts()).every((text) => text.startsWith("error:")),
    "there are others",
  );
});

test("a profile is chosen, held and released", async () => {
  const page = await stage.open({ page: "settings" });
  const power = page.getByRole("region", { name: "Power" });
  await power.getByRole("radio", { name: "Fast" }).check();
  await page.getByText("The profile is performance.").waitFor();
  await power.getByRole("radio", { name: "Balanced" }).check();
  await page.getByText("The profile is balanced.").waitFor();
  await power.getByText("Hold a profile for a while").click();
  await power.getByLabel("Reason").fill("people are asleep");
  await power.getByRole("button", { name: "Hold it" }).click();
  await power.getByText(/people are asleep · (29 min|30 min)/).waitFor();
  await power.getByText("In force is power-saver").waitFor();
  await power.getByRole("button", { name: "Release the hold people are asleep" }).click();
  await power.getByText("people are asleep").waitFor({ state: "detached" });
});

test("a target is set, refused where it cannot be, and given back", async () => {
  const page = await stage.open({ page: "settings" });
  const heat = page.getByRole("region", { name: "Heat" });
  const field = heat.getByLabel("Target in °C");
  await field.fill("70");
  await heat.getByRole("button", { name: "Set", exact: true }).click();
  await page.getByText("The target is 70 °C.").waitFor();
  await heat.getByRole("button", { name: "Use the machine's own" }).click();
  await page.getByText("The target is the machine's own.").waitFor();
  await field.fill("200");
  await heat.getByRole("button", { name: "Set", exact: true }).click();
  await heat.getByRole("alert").waitFor();
});

test(
  "a change of the network is tried, told on every page, and kept when it is confirmed",
  notElsewhere,
  async () => {
    const page = await stage.open({ page: "settings" });
    const network = page.getByRole("region", { name: "Network" });
    await network.getByRole("radio", { name: "Fixed" }).check();
    await network.getByRole("button", { name: "Try it" }).click();
    await network.getByText("Write an address with its prefix").waitFor();
    await network.getByLabel("Address and prefix").fill("192.168.1.20/24");
    await network.getByLabel("Gateway").fill("192.168.1.1");
    await network.getByLabel("Name servers").fill("192.168.1.1, 9.9.9.9");
    await network.getByRole("button", { name: "Try it" }).click();
    const trial = page.getByRole("region", { name: "Change of the network on trial" });
    await trial.getByText(/taken back in 1 min/).waitFor();
    await shot(page, "trial", false);
    await page.getByRole("link", { name: "Overview" }).click();
    await trial.getByRole("button", { name: "Keep it" }).click();
    await page.getByText("The network stays as it is now.").waitFor();
    await trial.waitFor({ state: "detached" });
  },
);

test("a change of the network that somebody else has made meanwhile is told", notElsewhere, async () => {
  const page = await stage.open({ page: "settings" });
  const other = await stage.open({ page: "settings" });
  await page.getByLabel("Host name").waitFor();
  await other.getByLabel("Host name").fill("other");
  await other.getByRole("region", { name: "Network" }).getByRole("button", { name: "Try it" }).click();
  await other.getByRole("button", { name: "Keep it" }).click();
  await page.getByLabel("Host name").fill("mine");
  const network = page.getByRole("region", { name: "Network" });
  await network.getByRole("button", { name: "Try it" }).click();
  await network.getByText("Changed meanwhile").waitFor();
  await network.getByRole("button", { name: "Read it again" }).click();
  await until(
    async () => (await page.getByLabel("Host name").inputValue()) === "other",
    "it is not read again",
  );
});

test("the time zone is chosen from those that there are", async () => {
  const page = await stage.open({ page: "settings" });
  const time = page.getByRole("region", { name: "Time" });
  const field = time.getByLabel("Time zone");
  const before = await until(async () => (await field.inputValue()) !== "", "no time zone").then(() =>
    field.inputValue(),
  );
  await field.fill("Middle/Earth");
  await time.getByText("There is no such time zone.").waitFor();
  await field.fill("Asia/Tokyo");
  await time.getByRole("button", { name: "Save" }).click();
  await page.getByText("The time's settings are saved.").waitFor();
  await field.fill(before);
  await time.getByRole("button", { name: "Save" }).click();
});

test("a certificate of one's own is checked, installed and removed", async () => {
  const [own, another] = [certificate(), certificate()];
  const page = await stage.open({ page: "settings" });
  const panel = page.getByRole("region", { name: "Certificate" });
  await panel.getByRole("button", { name: "Install one…" }).click();
  const dialog = page.getByRole("dialog");
  const choose = (/** @type {string} */ field, /** @type {string} */ text) =>
    dialog.getByLabel(field, { exact: true }).setInputFiles({
      name: "file.pem",
      mimeType: "application/x-pem-file",
      buffer: Buffer.from(text),
    });
  await dialog.getByRole("button", { name: "Install it" }).click();
  await dialog.getByText("Choose a file.").first().waitFor();
  await choose("Certificate", "nothing of the kind");
  await dialog.getByText("This is no certificate in PEM.").waitFor();
  await choose("Certificate", own.certificate);
  await choose("Private key", another.key);
  await dialog.getByRole("button", { name: "Install it" }).click();
  await dialog.getByRole("alert").waitFor();
  await shot(page, "certificate-refused", false);
  await choose("Private key", own.key);
  await dialog.getByRole("button", { name: "Install it" }).click();
  await page.getByText("Your certificate is served from the next connection on.").waitFor();
  await panel.getByText("your own authority").waitFor();
  await panel.getByRole("button", { name: "Remove it" }).click();
  await panel.getByText("this machine's authority").waitFor();
});

test("plain HTTP is switched on by who confirms it, and off again", async () => {
  const page = await stage.open({ page: "settings" });
  const panel = page.getByRole("region", { name: "Certificate" });
  await panel.getByRole("button", { name: "Switch it on…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Switch it on" }).click();
  await panel.getByText("whoever listens on your network").waitFor();
  await panel.getByRole("button", { name: "Switch it off" }).click();
  await panel.getByText("Off: port 80 leads to https://.").waitFor();
});

test("fingerprints are shown and the authority can be downloaded", async () => {
  const page = await stage.open({ page: "settings" });
  const panel = page.getByRole("region", { name: "Certificate" });
  await panel.locator("code").first().waitFor();
  for (const print of await panel.locator("code").allInnerTexts()) {
    assert.match(print, /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/i);
  }
  const download = page.waitForEvent("download");
  await panel.getByRole("link", { name: "Download the authority" }).click();
  assert.equal((await download).suggestedFilename(), "hearth-ca.crt");
});

test("a restart wants the host's name", onlyMock, async () => {
  const page = await stage.open({ page: "settings" });
  await page.getByRole("button", { name: "Restart…" }).click();
  const dialog = page.getByRole("dialog");
  const field = dialog.getByLabel(/^To confirm/);
  await field.fill("heart");
  await field.press("Enter");
  assert.deepEqual(stage.mock?.appliance.done, []);
  await field.fill(stage.mock?.appliance.hostname ?? "");
  await dialog.getByRole("button", { name: "Restart" }).click();
  await page.getByText("The machine restarts.").waitFor();
  assert.deepEqual(stage.mock?.appliance.done, ["reboot"]);
});
