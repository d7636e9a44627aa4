// Draws a job. Every text of models and jobs reaches the page as text, never as markup.

import { hasEnded } from "./follow.js";
import { reasonOfWait, stageName, summary, words } from "./fold.js";

export const byID = (id) => document.getElementById(id);

// make builds an element; children are elements or texts.
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

// problem shows what went wrong, why, and what to do; nothing clears it.
export function problem(element, failure) {
  element.hidden = !failure;
  if (!failure) return element.replaceChildren();
  const parts = [make("span", {}, failure.message)];
  for (const field of failure.fields ?? []) parts.push(make("span", {}, field));
  if (failure.advice) parts.push(make("span", {}, failure.advice));
  if (failure.reason) parts.push(make("span", { class: "reason" }, failure.reason));
  element.replaceChildren(...parts);
}

export function time(stamp) {
  const at = new Date(stamp);
  if (Number.isNaN(at.valueOf())) return "";
  return at.toDateString() === new Date().toDateString()
    ? at.toLocaleTimeString() : at.toLocaleString(undefined, { dateStyle: "short", timeStyle: "short" });
}

export function state(element, value) {
  element.dataset.state = value;
  text(element, words(value));
}

// draw brings the page up to what is known; job is the resource where it was read.
export function draw(folded, { job, question, kind, name }) {
  text(byID("job-kind"), { council: "Deliberation", review: "Review", index: "Index", delivery: "Delivery" }[kind] ?? "Job");
  text(byID("job-name"), name);
  text(byID("job-title"), question || folded.title || { review: "Review of a change", index: "Index of a repository" }[kind] || "Job");
  state(byID("job-state"), folded.state || job?.state || "QUEUED");
  stages(folded);
  progress(folded, job);
  waiting(folded);
  reasons(folded);
  ranking(folded);
  members(folded);
  answer(folded);
  const s = folded.state || job?.state || "";
  byID("cancel").hidden = !["QUEUED", "RUNNING"].includes(s);
  byID("retry").hidden = !["FAILED", "CANCELLED", "PARTIALLY_SUCCEEDED"].includes(s);
  ledger(job);
}

function ledger(job) {
  const l = job?.ledger;
  const parts = [];
  if (l && hasEnded(job) && (Number(l.callsStarted) > 0 || job.kind === "council")) {
    parts.push(`${l.callsCompleted} of ${l.callsStarted} calls answered`);
    if (Number(l.callsReused) > 0) parts.push(`${l.callsReused} reused`);
    if (Number(l.callsRepaid) > 0) parts.push(`${l.callsRepaid} paid again after a crash`);
    if (Number(l.recoveries) > 0) parts.push(`${l.recoveries} ${Number(l.recoveries) === 1 ? "recovery" : "recoveries"}`);
  }
  text(byID("job-ledger"), parts.join(", "));
}

function stages(folded) {
  const rail = byID("stages");
  const key = JSON.stringify(folded.stages);
  if (rail.dataset.key === key) return;
  rail.dataset.key = key;
  rail.replaceChildren(...folded.stages.map((s) => {
    const item = make("li", { "data-state": s.state, title: s.note || undefined }, stageName(s.name));
    item.append(make("span", { class: "unseen" }, ", " + s.state));
    return item;
  }));
}

function progress(folded, job) {
  const p = folded.progress;
  const total = Number(p?.total ?? 0);
  byID("job-progress").hidden = !p || total === 0 || hasEnded({ state: folded.state }) || hasEnded(job);
  if (!p) return;
  const bar = byID("job-progress-bar");
  bar.max = total || 1;
  bar.value = Number(p.done);
  text(byID("job-progress-text"), `${p.done} of ${p.total} ${p.unit}`);
}

// waiting says what a review waits for. The review goes on by itself.
function waiting(folded) {
  const w = folded.waiting;
  byID("job-waiting").hidden = !w;
  text(byID("job-waiting"), w ? `${stageName(w.stage)} waits: ${reasonOfWait(w)}. Next try: ${time(w.untilTime)}` : "");
}

function reasons(folded) {
  const element = byID("job-problem");
  const failed = ["FAILED", "EXPIRED"].includes(folded.state);
  const why = folded.error?.message || (failed || folded.state === "PARTIALLY_SUCCEEDED" ? words(folded.reason) : "");
  const key = why ? `${folded.state}${why}` : "";
  if (element.dataset.key === key) return;
  element.dataset.key = key;
  problem(element, why && {
    message: why, reason: folded.reason,
    advice: failed ? "Retry runs the job again; answers that were stored are used again." : "The result lacks something. Retry asks for what is missing only.",
  });
}

const nameOf = (folded, id) => folded.answers.get(id)?.member ?? id;

function ranking(folded) {
  const section = byID("ranking");
  section.hidden = !folded.ranking && folded.ballots.size === 0;
  const key = JSON.stringify([folded.ranking, [...folded.ballots]]);
  if (section.dataset.key === key) return;
  section.dataset.key = key;
  byID("ranking-rows").replaceChildren(...(folded.ranking?.ranked ?? []).map((r) => make("tr", {},
    make("td", {}, r.rank > 0 ? `${r.rank}.` : "unranked"), make("td", {}, nameOf(folded, r.answer)),
    make("td", {}, `${r.firstPlaces} of ${r.ballots} ballots`), make("td", {}, r.meanRank ? Number(r.meanRank).toFixed(2) : "–"))));
  text(byID("ranking-note"), folded.ranking?.tieAtTop ? "The top is tied: the order there means nothing." : "");
  byID("ballots").replaceChildren(...[...folded.ballots.values()].map((b) => make("li", {},
    `Ballot of ${b.reviewer}: ${b.note || b.ranking.map((id) => nameOf(folded, id)).join(" › ")}`)));
}

const statusWords = { waiting: "waits", answering: "writes…", judging: "judges the others…", answered: "answered", failed: "failed", stopped: "stopped" };

function members(folded) {
  byID("members").hidden = folded.members.size === 0;
  const cards = byID("cards");
  const places = new Map((folded.ranking?.ranked ?? []).filter((r) => r.rank > 0).map((r) => [r.answer, r.rank]));
  const seats = new Set(folded.members.keys());
  for (const card of [...cards.children]) if (!seats.has(card.dataset.member)) card.remove();
  for (const m of folded.members.values()) {
    let card = [...cards.children].find((c) => c.dataset.member === m.id);
    if (!card) {
      card = make("article", { class: "panel card", "data-member": m.id },
        make("header", {}, make("h3", {}, m.id), make("code", {}), make("span", { class: "place" })),
        make("p", { class: "status" }), make("div", { class: "prose", tabindex: "0", role: "group", "aria-label": `Answer of ${m.id}` }));
      cards.append(card);
    }
    card.dataset.state = m.state;
    text(card.querySelector("code"), m.model === m.id ? "" : m.model);
    text(card.querySelector(".place"), m.answer && places.has(m.answer) ? `place ${places.get(m.answer)}` : "");
    text(card.querySelector(".status"), [statusWords[m.state] ?? m.state, m.took, m.note].filter(Boolean).join(" · "));
    const prose = card.querySelector(".prose");
    const atEnd = prose.scrollTop + prose.clientHeight >= prose.scrollHeight - 4;
    text(prose, m.text);
    if (m.state === "answering" && atEnd) prose.scrollTop = prose.scrollHeight;
    prose.classList.toggle("writing", m.state === "answering");
  }
}

function answer(folded) {
  const a = folded.answer;
  byID("answer").hidden = !a.text && !a.writing;
  text(byID("answer-text"), a.text);
  byID("answer-text").classList.toggle("writing", a.writing);
  const origins = {
    CHAIRMAN: `written by the chairman, ${a.chairman}`, FALLBACK_CHAIRMAN: `written by a substitute chairman, ${a.chairman}`,
    TOP_RANKED: "the top-ranked answer, word for word", SINGLE_SURVIVOR: "the only answer that there is", TEMPLATE: "put together without a model",
  };
  text(byID("answer-origin"), a.writing ? `${a.chairman} writes…` : origins[a.origin] ?? "");
}

const maxRows = 20000;

// record adds an event to the log. here marks where the page was loaded again.
export function record(type, event, here) {
  const rows = byID("events");
  rows.append(make("tr", { "data-seq": event.seq, "data-type": type, "data-time": event.time, "data-here": here ? "true" : undefined },
    make("td", {}, event.seq), make("td", {}, time(event.time)), make("td", {}, type), make("td", {}, (here ? "loaded again here · " : "") + summary(event))));
  if (rows.children.length > maxRows) rows.firstElementChild.remove();
  text(byID("log-count"), `${event.seq} ${Number(event.seq) === 1 ? "event" : "events"}`);
}

// clear makes room for another job.
export function clear() {
  for (const id of ["events", "cards", "stages", "messages", "ballots", "ranking-rows", "findings-list", "held-list", "files-rows", "reviewers-rows", "review-facts"]) byID(id).replaceChildren();
  for (const id of ["stages", "ranking", "job-problem"]) delete byID(id).dataset.key;
  for (const id of ["history", "answer", "ranking", "members", "review", "findings", "held", "files", "reviewers", "job-problem", "job-progress", "job-waiting", "reconnect"]) byID(id).hidden = true;
  text(byID("log-count"), "");
  text(byID("job-ledger"), "");
}
