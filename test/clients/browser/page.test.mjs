// The page at / in a real Chromium: it starts jobs, is loaded again and loses its server, and shows what the log holds.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { chromium } from "playwright-core";

import { World, binary, fakeGitHub, nameOf, patience } from "./world.mjs";

const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const hostile = `Is <img src=x onerror="document.title='broken'"> a picture & is <b>this</b> bold?`;

let profile, browser;

before(async () => {
  profile = await mkdtemp(join(tmpdir(), "witan-chromium-"));
  browser = await chromium.launchPersistentContext(profile, { executablePath: process.env.CHROMIUM, args: flags, chromiumSandbox: false });
  browser.setDefaultTimeout(patience);
});

after(async () => {
  await browser?.close();
  await rm(profile, { recursive: true, force: true });
});

// open opens the page in a tab that keeps what goes wrong with it.
async function open(world, hash = "") {
  const tab = await browser.newPage();
  const wrong = [];
  await tab.exposeFunction("reportViolation", (text) => wrong.push("policy: " + text));
  await tab.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (e) => window.reportViolation(`${e.violatedDirective} ${e.blockedURI}`));
  });
  tab.on("pageerror", (error) => wrong.push("script: " + (error.stack ?? error.message)));
  tab.on("console", (message) => { if (/content security policy/i.test(message.text())) wrong.push("policy: " + message.text()); });
  tab.on("request", (request) => { if (!request.url().startsWith(world.base)) wrong.push("elsewhere: " + request.url()); });
  await tab.goto(world.base + "/" + hash);
  return { tab, wrong };
}

async function ask(tab, question) {
  await tab.fill("#question", question);
  await tab.press("#question", "Control+Enter");
  await tab.waitForURL(/#\/jobs\/[a-z0-9]+$/);
  return new URL(tab.url()).hash.slice(2);
}

const shown = (tab) => tab.$$eval("#events tr", (rows) => rows.map((r) => ({ ...r.dataset })));
const connection = (tab, state) => tab.waitForSelector(`#connection[data-state=${state}]`);
const deltas = (tab, n) => tab.waitForFunction((n) => document.querySelectorAll('#events tr[data-type="council.member_delta"]').length >= n, n);
const final = (tab, state) => tab.waitForSelector(`#job-state[data-state=${state}]`);

// requireLog compares what the page shows with the log, event by event.
async function requireLog(world, tab, job, token) {
  const log = await world.log(job, token);
  assert.deepEqual((await shown(tab)).map(({ seq, type, time }) => ({ seq, type, time })),
    log.map((e) => ({ seq: e.seq, type: nameOf(e), time: e.time })));
  return log;
}

test("a deliberation through a reload and a killed server is what the log holds", async (t) => {
  const world = await (await World.open()).serve();
  t.after(() => world.close());
  const { tab, wrong } = await open(world);
  const job = await ask(tab, hostile);
  await connection(tab, "live");
  await deltas(tab, 6);
  assert.equal(await tab.getAttribute("html", "data-processing"), "active");

  await tab.reload();
  const marked = await tab.waitForSelector("#events tr[data-here]", { state: "attached" });
  assert.ok(Number(await marked.getAttribute("data-seq")) > 6, "it goes on where it was");
  await deltas(tab, 12);

  await world.kill();
  await connection(tab, "reconnecting");
  const before = (await shown(tab)).length;
  await world.serve();
  await connection(tab, "live");
  await connection(tab, "finished");
  await final(tab, "SUCCEEDED");

  const log = await requireLog(world, tab, job);
  assert.ok(log.length > before, "it went on after the crash");
  assert.equal((await tab.$$("#events tr[data-here]")).length, 1);
  assert.equal(await tab.getAttribute("html", "data-processing"), "idle");
  const read = await world.api("/v1/" + job);
  assert.equal(read.epoch, 2, "another execution has ended it");
  assert.equal(await tab.textContent("#answer-text"), read.deliberation.answer);
  assert.equal(await tab.textContent("#job-title"), hostile);
  for (const answer of read.deliberation.answers) {
    assert.equal(await tab.textContent(`.card[data-member="${answer.member}"] .prose`), answer.text);
  }
  assert.equal((await tab.$$("#ranking-rows tr")).length, 3);
  assert.equal((await tab.$$("#ballots li")).length, 3);
  await tab.waitForSelector(`#jobs a[data-job="${job}"] .state[data-state=SUCCEEDED]`);
  assert.equal((await tab.$$("main img, main b, aside img")).length, 0, "texts are no markup");

  await tab.reload(); // a finished job is replayed whole
  await connection(tab, "finished");
  await requireLog(world, tab, job);
  assert.equal(await tab.textContent("#answer-text"), read.deliberation.answer);
  assert.deepEqual(wrong, []);
});

test("a job is cancelled and retried on the page, in one log", async (t) => {
  const world = await (await World.open()).serve();
  t.after(() => world.close());
  const { tab, wrong } = await open(world);
  const job = await ask(tab, "Is it worth the wait?");
  await deltas(tab, 3);
  await tab.click("#cancel");
  await final(tab, "CANCELLED");
  await connection(tab, "finished");
  await requireLog(world, tab, job);
  await tab.click("#retry");
  await final(tab, "SUCCEEDED");
  await connection(tab, "finished");
  const log = await requireLog(world, tab, job);
  assert.equal(log.filter((e) => e.final).length, 2);
  assert.equal((await world.api("/v1/" + job)).attempt, 2);
  await tab.selectOption("#jobs-filter", "FAILED,CANCELLED,EXPIRED");
  await tab.waitForSelector("#jobs-empty:not([hidden])");
  assert.deepEqual(wrong, []);
});

test("a conversation goes on, and refusals are shown with their reason", async (t) => {
  const world = await (await World.open()).serve();
  t.after(() => world.close());
  const { tab, wrong } = await open(world);
  await tab.check("#converse");
  const first = await ask(tab, "What is a witan?");
  await tab.waitForSelector("#ask-context:not([hidden])");
  await tab.fill("#question", "And who sat in it?");
  await tab.click("#ask-button");
  await tab.waitForSelector("#ask-problem:has-text('CONVERSATION_ACTIVE')");
  assert.equal(await tab.inputValue("#question"), "And who sat in it?", "what was typed is kept");
  await connection(tab, "finished");
  await tab.click("#ask-button");
  await tab.waitForFunction((first) => /^#\/jobs\//.test(location.hash) && location.hash !== "#/" + first, first);
  await tab.waitForSelector("#messages li[data-role=COUNCIL]");
  assert.equal(await tab.textContent("#messages li[data-role=USER] .prose"), "What is a witan?");
  await connection(tab, "finished");
  await requireLog(world, tab, new URL(tab.url()).hash.slice(2));

  await tab.goto(world.base + "/#/jobs/" + "a".repeat(26));
  await connection(tab, "error");
  await tab.waitForSelector("#job-problem:has-text('JOB_NOT_FOUND')");
  assert.equal(await tab.getAttribute("html", "data-processing"), "error");
  assert.deepEqual(wrong, []);
});

test("a review says what it is of, what was found, who voted and what was looked at", async (t) => {
  const world = await (await World.open()).serve();
  t.after(() => world.close());
  const { tab, wrong } = await open(world);
  // Put together here, so that no scanner takes this file for a leak.
  const key = "AKIA" + "QWERTYUIOPASDFGH";
  const diff = `diff --git a/store/key.go b/store/key.go
new file mode 100644
--- /dev/null
+++ b/store/key.go
@@ -0,0 +1,3 @@
+package store
+
+const accessKey = "${key}"
`;
  const title = "<b>key</b>.diff";
  const review = await world.api("/v1/reviews", { method: "POST", body: { source: { diff: { data: Buffer.from(diff).toString("base64"), title } } } });
  await tab.goto(`${world.base}/#/${review.job}`);
  await connection(tab, "finished");
  await tab.waitForSelector("#findings-list li[data-severity=SEVERITY_HIGH]");
  const read = await world.api(`/v1/${review.name}?view=FULL`);
  assert.ok((await tab.textContent("#job-title")).startsWith(title), "what it is of, as text");
  assert.equal(await tab.textContent("#review-summary"), read.summary);
  assert.deepEqual(await tab.$$eval("#files-rows td:first-child", (cells) => cells.map((c) => c.textContent)), ["store/key.go"]);
  assert.ok((await tab.textContent("#files-rows")).includes("reviewed"));
  assert.deepEqual(await tab.$$eval("#reviewers-rows td:first-child", (cells) => cells.map((c) => c.textContent)), read.coverage.reviewers.map((r) => r.name));
  const published = read.findings.filter((f) => f.outcome === "PUBLISHED");
  assert.equal(await tab.$$eval("#findings-list > li", (items) => items.length), published.length);
  assert.equal(await tab.$$eval("#held-list > li", (items) => items.length), read.findings.length - published.length);
  const voters = (of) => tab.$$eval(of + " strong", (names) => names.map((n) => n.textContent));
  assert.deepEqual(await voters("#findings-list > li:first-child details .votes"), published[0].votes.map((v) => v.voter));
  assert.deepEqual(await voters("#findings-list > li:first-child .dissent"), published[0].votes.filter((v) => v.vote === "REJECTED").map((v) => v.voter));
  const { job } = await world.api(`/v1/${read.deliberation}`);
  assert.equal(await tab.getAttribute("#review-facts a[href^='#/jobs/']", "href"), "#/" + job);
  await tab.waitForFunction(([job, title]) => document.querySelector(`#jobs a[data-job="${job}"] .what`)?.textContent.startsWith(title), [review.job, title]);
  await tab.click("#review-facts a[href^='#/jobs/']");
  await tab.waitForFunction((job) => document.getElementById("job-name").textContent === job, job);
  await connection(tab, "finished");
  assert.equal(await tab.isVisible("#review"), false);
  assert.deepEqual(wrong, []);
});

test("a review that the forge keeps waiting says what it waits for, until it goes on", async (t) => {
  const world = await World.open();
  t.after(() => world.close());
  const scenario = { repositories: [{ owner: "acme", name: "shop", files: { "go.mod": "module example.com/shop\n" },
    pulls: [{ title: "Add a shop", author: "mallory", head: "topic", files: { "shop.go": "package shop\n" } }] }] };
  const { server, control } = await fakeGitHub(t, world.dir, scenario);
  await world.configure({ github: { base_url: server.url, token_file: join(world.dir, "github", "token") } });
  await world.serve();
  const limit = { kind: "primary limit", path: "/repos/*/*/pulls/*", times: 1, retry_after: "10s" };
  await control("/faults", limit);
  const { tab, wrong } = await open(world);
  const { job } = await world.api("/v1/reviews", { method: "POST", body: { source: { pull_request: { owner: "acme", repo: "shop", number: 1 } } } });
  await tab.goto(`${world.base}/#/${job}`);
  await tab.waitForSelector("#job-waiting:not([hidden]):has-text('rate limit is reached')");
  assert.match(await tab.textContent("#job-waiting"), /Next try: .*\d/);
  await connection(tab, "finished");
  assert.equal(await tab.isVisible("#job-waiting"), false);
  await requireLog(world, tab, job);
  assert.deepEqual(wrong, []);
});

test("with a token the same holds, by a reader that can send it", async (t) => {
  const world = await World.open();
  const tokens = join(world.dir, "tokens");
  const [token, line] = execFileSync(binary, ["token", "new", "ada"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).split("\n");
  await writeFile(tokens, line + "\n", { mode: 0o600 });
  await world.configure({ auth: { tokens_file: tokens } });
  await world.serve();
  t.after(() => world.close());
  const { tab, wrong } = await open(world);
  await tab.waitForSelector("#sign-in[open]");
  await tab.fill("#token", "not-the-token-of-anybody-at-all-000000");
  await tab.press("#token", "Enter");
  await tab.waitForSelector("#sign-in-problem:has-text('TOKEN_INVALID')");
  await tab.fill("#token", token);
  await tab.press("#token", "Enter");
  await tab.waitForSelector("#sign-in:not([open])", { state: "attached" });
  const job = await ask(tab, "Does it stream with a header?");
  await connection(tab, "live");
  await deltas(tab, 4);
  await tab.reload();
  await deltas(tab, 8);
  await world.kill();
  await connection(tab, "reconnecting");
  await world.serve();
  await connection(tab, "finished");
  await final(tab, "SUCCEEDED");
  await requireLog(world, tab, job, token);
  await tab.click("#sign-out");
  await tab.waitForSelector("#sign-in[open]");
  assert.equal(await tab.evaluate(() => JSON.stringify({ ...localStorage })), "{}");
  assert.deepEqual(wrong, []);
});
