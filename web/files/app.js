// Wires the page: the address names the job (#/jobs/…), the forms make calls, the follower feeds what is drawn.

import { Failure, call, token, uuid } from "./api.js";
import { Follower, hasEnded } from "./follow.js";
import { begin, fold, result, words } from "./fold.js";
import { drawReview, subject } from "./review.js";
import { byID, clear, draw, make, problem, record, state, time } from "./view.js";

const pollEvery = 5000;

// shown is the job on the page; asked the question that was sent and not yet answered for.
let shown = null;
let asked = null;
let names = [];
let waitingForToken = [];

// --- signing in

function needsToken(failure) {
  return failure instanceof Failure && failure.code === 401;
}

// signIn opens the form; again is called when there is a token.
function signIn(failure, again) {
  waitingForToken.push(again);
  problem(byID("sign-in-problem"), token.get() ? failure : null);
  if (!byID("sign-in").open) byID("sign-in").showModal();
}

byID("sign-in-form").addEventListener("submit", (e) => {
  e.preventDefault();
  token.set(byID("token").value.trim());
  byID("token").value = "";
  byID("sign-in").close();
  signedIn();
  const again = waitingForToken;
  waitingForToken = [];
  for (const f of again) f();
});
byID("sign-in-close").addEventListener("click", () => byID("sign-in").close());
byID("sign-out").addEventListener("click", () => {
  token.set("");
  signedIn();
  location.hash = "#/";
  location.reload();
});
const signedIn = () => { byID("sign-out").hidden = !token.get(); };

// attempt makes a call whose failure is shown at an element, and whose lack of a token opens the form.
async function attempt(element, f) {
  try {
    problem(element, null);
    return await f();
  } catch (failure) {
    if (!(failure instanceof Failure)) throw failure;
    problem(element, failure);
    if (needsToken(failure)) signIn(failure, () => attempt(element, f));
    return undefined;
  }
}

// --- the job on the page

const lastKey = (job) => "witan.last." + job;

function connection(value, failure) {
  byID("connection").dataset.state = value;
  byID("connection-text").textContent = {
    idle: "not following", connecting: "connecting…", live: "live", reconnecting: "connection lost, reconnecting…",
    finished: "complete", error: "stopped: " + (failure?.message ?? ""),
  }[value];
}

let announced = 0;
function announce(sentence) {
  if (!sentence || Date.now() - announced < 300) return; // a screen reader cannot follow faster
  announced = Date.now();
  byID("announce").textContent = sentence;
}

function show(name) {
  shown?.follower.stop();
  shown = null;
  clear();
  byID("job").hidden = !name;
  byID("welcome").hidden = Boolean(name);
  connection("idle");
  document.documentElement.dataset.processing = name ? "active" : "idle";
  context(null);
  markJobs();
  if (!name) {
    document.title = "Witan";
    return;
  }
  const before = Number(sessionStorage.getItem(lastKey(name)) ?? 0);
  const view = { name, before, folded: begin(), job: null, deliberation: null, question: "", kind: "" };
  shown = view;
  const mine = (f) => (...args) => { if (shown === view) f(...args); };
  view.follower = new Follower(name, names, {
    state: mine((value, failure) => {
      connection(value, failure);
      byID("reconnect").hidden = value !== "error";
      if (value === "error") {
        problem(byID("job-problem"), failure);
        document.documentElement.dataset.processing = "error";
        if (needsToken(failure)) signIn(failure, () => view.follower.start());
      }
    }),
    event: mine((type, event) => {
      record(type, event, view.before > 0 && Number(event.seq) === view.before + 1);
      if (Number(event.seq) > view.before) {
        sessionStorage.setItem(lastKey(name), event.seq);
        announce(fold(view.folded, event));
      } else {
        fold(view.folded, event);
      }
      paint();
      if (event.stateChanged) pollJobs();
    }),
    finished: mine((job) => {
      view.job = job;
      if (view.follower.last < Number(job.lastSeq)) result(view.folded, job); // the log is gone
      conclude(view);
      paint();
      pollJobs();
    }),
  });
  byID("log-link").href = `v1/${name}/events?page_size=1000`;
  paint();
  view.follower.start();
  resource(view);
}

// resource reads what the events do not say: the question, the conversation.
async function resource(view) {
  const element = byID("job-problem");
  await attempt(element, async () => {
    const job = await call("GET", view.name);
    if (shown !== view) return;
    view.kind = job.kind;
    view.job ??= job;
    if (job.kind === "council") {
      const deliberation = await call("GET", job.resource, { query: { view: "BASIC" } });
      if (shown !== view) return;
      view.deliberation = deliberation;
      view.question = deliberation.question?.text ?? deliberation.codeReview?.title ?? "";
      document.title = `${view.question.slice(0, 60) || "Deliberation"} – Witan`;
      context(deliberation.conversation);
      await messages(view);
    }
    conclude(view);
    paint();
  });
}

async function conclude(view) {
  if (!view.job) return;
  const s = view.folded.state || view.job.state;
  document.documentElement.dataset.processing = ["FAILED", "EXPIRED"].includes(s) ? "error" : hasEnded({ state: s }) ? "idle" : "active";
  if (view.job.kind === "review") await review(view);
}

// review reads what a review says of itself, and the council that it convened.
async function review(view) {
  const read = await call("GET", view.job.resource, { query: { view: "FULL" } }).catch(() => view.job.review);
  if (!read || shown !== view) return;
  const deliberation = read.deliberation ? await call("GET", read.deliberation, { query: { view: "BASIC" } }).catch(() => null) : null;
  if (shown !== view) return;
  view.question = [subject(read), deliberation?.codeReview?.title].filter(Boolean).join(": ");
  document.title = `${view.question.slice(0, 60) || "Review"} – Witan`;
  drawReview(read, deliberation?.job ?? view.folded.children[0]);
  paint();
}

async function messages(view) {
  const conversation = view.deliberation?.conversation;
  if (!conversation) return;
  const list = await call("GET", conversation + "/messages", { query: { page_size: 1000 } });
  if (shown !== view) return;
  const earlier = [];
  for (const m of list.messages ?? []) {
    if (m.deliberation === view.deliberation.name) break;
    earlier.push(m);
  }
  byID("history").hidden = earlier.length === 0;
  byID("messages").replaceChildren(...earlier.map((m) => make("li", { "data-role": m.role },
    make("span", { class: "hint" }, m.role === "USER" ? "Question" : "Council" + (m.partial ? ", in part" : "")),
    make("div", { class: "prose" }, m.text))));
}

let painting = false;
function paint() {
  if (painting) return;
  painting = true;
  requestAnimationFrame(() => {
    painting = false;
    if (shown) draw(shown.folded, shown);
  });
}

byID("cancel").addEventListener("click", () => act("cancel", {}));
byID("retry").addEventListener("click", () => act("retry", { requestId: uuid() }));
byID("reconnect").addEventListener("click", () => shown?.follower.start());

async function act(verb, body) {
  const view = shown;
  const button = byID(verb);
  button.disabled = true;
  const job = await attempt(byID("job-problem"), () => call("POST", `${view.name}:${verb}`, { body }));
  button.disabled = false;
  if (!job || shown !== view) return;
  delete byID("job-problem").dataset.key;
  view.job = job;
  document.documentElement.dataset.processing = "active";
  view.follower.resume();
  paint();
  pollJobs();
}

window.addEventListener("online", () => { if (byID("connection").dataset.state === "live") shown?.follower.start(); else shown?.follower.nudge(); });
window.addEventListener("hashchange", route);

function route() {
  const match = /^#\/(jobs\/[a-z0-9]{20,40})$/.exec(location.hash);
  if (match?.[1] === shown?.name && shown) return;
  show(match?.[1] ?? null);
}

// --- asking

// context says which conversation the next question belongs to.
function context(conversation) {
  const form = byID("ask");
  form.dataset.conversation = conversation ?? "";
  byID("ask-heading").textContent = conversation ? "Ask on" : "Ask the council";
  byID("ask-context").hidden = !conversation;
  byID("ask-context").textContent = conversation ? "In the conversation shown here." : "";
  byID("ask-fresh").hidden = !shown;
  byID("converse").disabled = Boolean(conversation);
  byID("converse").checked = Boolean(conversation);
  byID("converse-text").textContent = conversation ? "in this conversation" : "start a conversation";
}

byID("ask-fresh").addEventListener("click", () => {
  location.hash = "#/";
  byID("question").focus();
});
byID("question").addEventListener("keydown", (e) => {
  if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) byID("ask").requestSubmit();
});
byID("ask").addEventListener("submit", async (e) => {
  e.preventDefault();
  const text = byID("question").value.trim();
  if (!text) return;
  const council = byID("council").value;
  const want = { text, council, conversation: byID("ask").dataset.conversation, converse: byID("converse").checked };
  // The same question sent again after a failure is the same request: nothing is started twice.
  if (!asked || JSON.stringify(asked.want) !== JSON.stringify(want)) asked = { want, id: uuid(), conversationID: uuid() };
  byID("ask-button").disabled = true;
  const made = await attempt(byID("ask-problem"), () => ask(asked));
  byID("ask-button").disabled = false;
  if (made) asked_(made);
});

async function ask({ want, id, conversationID }) {
  let conversation = want.conversation;
  if (!conversation && want.converse) {
    conversation = (await call("POST", "conversations", { query: { request_id: conversationID }, body: want.council ? { council: want.council } : {} })).name;
  }
  const body = { question: { text: want.text } };
  if (want.council) body.council = want.council;
  return call("POST", conversation ? conversation + "/deliberations" : "deliberations", { query: { request_id: id }, body });
}

function asked_(deliberation) {
  asked = null;
  byID("question").value = "";
  location.hash = "#/" + deliberation.job;
  byID("main").focus();
  pollJobs();
}

async function councils() {
  const list = await call("GET", "councils", { query: { page_size: 1000 } });
  const select = byID("council");
  for (const c of list.councils ?? []) {
    if (c.name === "councils/default") continue;
    select.append(make("option", { value: c.name }, c.displayName || c.name.replace("councils/", "")));
  }
}

// --- the list of jobs

const list = { size: 20, questions: new Map(), underWay: new Map(), timer: 0, running: null };

async function readJobs() {
  const filter = byID("jobs-filter").value;
  const page = await call("GET", "jobs", { query: { page_size: list.size, states: filter ? filter.split(",") : [] } });
  const jobs = page.jobs ?? [];
  await readQuestions(jobs);
  byID("jobs").replaceChildren(...jobs.map((j) => make("li", {}, make("a", { href: "#/" + j.name, "data-job": j.name },
    stateOf(j), make("span", { class: "when" }, `${j.kind} · ${time(j.createTime)}`),
    make("span", { class: "what" }, list.questions.get(j.name) || list.underWay.get(j.name) || j.name)))));
  byID("jobs-empty").hidden = jobs.length > 0;
  byID("jobs-more").hidden = !page.nextPageToken || list.size >= 1000;
  markJobs();
}

// readQuestions reads what the listed jobs are about, once for each that has ended.
async function readQuestions(jobs) {
  const unknown = jobs.filter((j) => ["council", "review"].includes(j.kind) && !list.questions.has(j.name));
  if (unknown.length > 5) {
    const [newest, reviews] = await Promise.all(["deliberations", "reviews"].map((of) => call("GET", of, { query: { page_size: list.size } }).catch(() => ({}))));
    for (const d of newest.deliberations ?? []) list.questions.set(d.job, titleOf(d));
    for (const r of reviews.reviews ?? []) list.questions.set(r.job, await titleOfReview(r, newest.deliberations ?? []));
  }
  await Promise.all(unknown.filter((j) => !list.questions.has(j.name)).slice(0, 20).map(async (j) => {
    const read = await call("GET", j.resource, { query: { view: "BASIC" } }).catch(() => null);
    if (!read) list.questions.set(j.name, "");
    else if (j.kind === "council") list.questions.set(j.name, titleOf(read));
    else if (hasEnded(j)) list.questions.set(j.name, await titleOfReview(read));
    else list.underWay.set(j.name, subject(read)); // its commits and its title come later
  }));
}

// titleOfReview says which change it is of, and the change's own title, which its council was told.
async function titleOfReview(review, known = []) {
  const council = known.find((d) => d.name === review.deliberation) ??
    (review.deliberation ? await call("GET", review.deliberation, { query: { view: "BASIC" } }).catch(() => null) : null);
  return [subject(review), council ? titleOf(council) : ""].filter(Boolean).join(": ");
}

const titleOf = (deliberation) => (deliberation.question?.text ?? deliberation.codeReview?.title ?? "").slice(0, 200);

function stateOf(j) {
  const element = make("span", { class: "state" });
  state(element, j.state);
  return element;
}

function markJobs() {
  for (const a of byID("jobs").querySelectorAll("a")) {
    if (a.dataset.job === shown?.name) a.setAttribute("aria-current", "true");
    else a.removeAttribute("aria-current");
  }
}

// pollJobs reads the list now, and again after a while as long as somebody looks.
async function pollJobs() {
  clearTimeout(list.timer);
  if (!list.running) {
    const focused = document.activeElement?.dataset?.job;
    list.running = attemptList();
    await list.running;
    list.running = null;
    if (focused) byID("jobs").querySelector(`a[data-job="${CSS.escape(focused)}"]`)?.focus();
  }
  clearTimeout(list.timer);
  if (document.visibilityState === "visible") list.timer = setTimeout(pollJobs, pollEvery);
}

async function attemptList() {
  try {
    await readJobs();
    problem(byID("jobs-problem"), null);
  } catch (failure) {
    if (!(failure instanceof Failure)) throw failure;
    if (needsToken(failure) && byID("sign-in").open) return;
    problem(byID("jobs-problem"), failure);
  }
}

byID("jobs-filter").addEventListener("change", pollJobs);
byID("jobs-more").addEventListener("click", () => {
  list.size = Math.min(list.size * 2, 1000);
  pollJobs();
});
document.addEventListener("visibilitychange", () => { if (document.visibilityState === "visible") pollJobs(); });

// --- begin

async function start() {
  signedIn();
  names = await (await fetch(new URL("web/events.json", document.baseURI.split("#")[0]), { cache: "no-cache" })).json();
  route();
  await attempt(byID("ask-problem"), councils);
  await pollJobs();
}

start();
