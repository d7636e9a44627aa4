// Draws what a review came to. Every text of a repository or a model reaches the page as text, never as markup.

import { words } from "./fold.js";
import { byID, make } from "./view.js";

const short = (id) => String(id ?? "").slice(0, 12);
const folder = (dir) => String(dir ?? "").split("/").filter(Boolean).pop() ?? "";
const counted = (n, what) => `${n} ${what}${Number(n) === 1 ? "" : "s"}`;

// subject says what a review is about: repository#number, a range, or what kind of change it was given.
export function subject(review) {
  const s = review?.source ?? {};
  const range = review?.head ? `${short(review.mergeBase || review.base)}…${short(review.head)}` : "";
  if (s.pullRequest) return `${s.pullRequest.owner}/${s.pullRequest.repo}#${s.pullRequest.number}`;
  if (s.gitRange) return `${folder(s.gitRange.dir)} ${s.gitRange.base && s.gitRange.head ? `${s.gitRange.base}…${s.gitRange.head}` : range}`.trim();
  if (s.localChange) return `${folder(s.localChange.dir)} ${words(s.localChange.mode)}`;
  if (s.diff) return s.diff.title || "A diff";
  if (s.snapshots) return s.snapshots.head?.title || "Two trees";
  return "";
}

// web is an address that a link may have; others are no links.
const web = (address) => (/^https?:\/\//i.test(address ?? "") ? address : undefined);

// pullRequest is the address of the pull request: at the place where something was published, else by https.
function pullRequest(review) {
  const p = review.source?.pullRequest;
  if (!p) return undefined;
  const published = [review.publication, ...(review.findings ?? []).map((f) => f.publication)].map((x) => web(x?.url)).find(Boolean);
  const host = p.host || "github.com";
  const origin = published && URL.canParse(published) && new URL(published).host === host ? new URL(published).origin : ["https:", "", host].join("/");
  const address = `${origin}/${p.owner}/${p.repo}/pull/${p.number}`;
  return URL.canParse(address) ? address : undefined;
}

function link(address, text) {
  const href = web(address);
  return href ? make("a", { href, rel: "noreferrer noopener" }, text) : make("span", {}, text);
}

const place = (l) => (l?.path ? `${l.path}${l.startLine ? ":" + l.startLine : ""}` : "no place");

function vote(v) {
  const also = v.duplicateOf ? `, the same as ${v.duplicateOf}` : "";
  return make("li", { "data-vote": v.vote }, make("strong", {}, v.voter), ` ${v.proposed ? "reported it" : words(v.vote)}${also}${v.counted ? "" : " (not counted)"}`,
    v.reason && !v.proposed ? make("span", { class: "hint" }, " " + v.reason) : "");
}

function finding(f) {
  const t = f.tally;
  const facts = [words(String(f.severity ?? "").replace("SEVERITY_", "")), words(f.category),
    t && `${t.confirmed} of ${t.planned} confirmed it, ${t.rejected} rejected it, ${t.uncertain} uncertain`,
    f.outcome && f.outcome !== "PUBLISHED" && words(f.outcome), words(f.outcomeReason), f.status && f.status !== "OPEN" && words(f.status), f.rule];
  const item = make("li", { "data-severity": f.severity, "data-outcome": f.outcome }, make("strong", {}, f.title), make("code", {}, place(f.location)),
    make("span", { class: "hint" }, facts.filter(Boolean).join(" · ")), make("span", { class: "prose" }, f.reason ?? ""));
  if (web(f.publication?.url)) item.append(link(f.publication.url, "its comment"));
  const votes = f.votes ?? [];
  const dissent = votes.filter((v) => v.vote === "REJECTED");
  if (f.outcome === "PUBLISHED" && dissent.length > 0) {
    item.append(make("div", { class: "dissent" }, "Dissent", make("ul", { class: "votes" }, ...dissent.map(vote))));
  }
  if (votes.length > 0) {
    item.append(make("details", {}, make("summary", {}, counted(votes.length, "vote")), make("ul", { class: "votes" }, ...votes.map(vote))));
  }
  return item;
}

function fact(name, value) {
  return value ? [make("dt", {}, name), make("dd", {}, value)] : [];
}

function facts(review, council) {
  const c = review.coverage;
  return [
    fact("change", link(pullRequest(review), subject(review))),
    fact("commits", review.head && `${short(review.mergeBase)}…${short(review.head)}`),
    fact("started by", words(review.trigger)),
    fact("what became of it", [words(review.disposition), words(review.declinedReason)].filter(Boolean).join(": ")),
    fact("council", council ? make("a", { href: "#/" + council }, council) : ""),
    fact("the council's part", c?.councilReason || (c?.council ? `${counted(c.council.models ?? 0, "model")}` : "")),
    fact("published", review.publication && link(review.publication.url, [words(review.publication.state), words(review.publication.reason)].filter(Boolean).join(": "))),
    fact("notes", (c?.notes ?? []).join(" ")),
    fact("cut", (review.cut ?? []).length > 0 ? `${review.cut.join(", ")}: too large to show here, the export has all of it` : ""),
  ].flat();
}

const cell = (...children) => make("td", {}, ...children);

// drawReview shows a review, or hides its sections where there is none. council is the job of its deliberation.
export function drawReview(review, council) {
  for (const id of ["review", "findings"]) byID(id).hidden = !review;
  for (const id of ["held", "files", "reviewers"]) byID(id).hidden = true;
  if (!review) return;
  byID("review-facts").replaceChildren(...facts(review, council));
  byID("review-summary").textContent = review.summary ?? "";
  const shown = (review.findings ?? []).filter((f) => f.outcome === "PUBLISHED" || !f.outcome);
  const held = (review.findings ?? []).filter((f) => !shown.includes(f));
  byID("findings-heading").textContent = `Findings (${shown.length})`;
  byID("findings-list").replaceChildren(...shown.map(finding));
  byID("held").hidden = held.length === 0;
  byID("held-heading").textContent = `Held back or rejected (${held.length})`;
  byID("held-list").replaceChildren(...held.map(finding));
  const files = review.coverage?.files ?? [];
  byID("files").hidden = files.length === 0;
  byID("files-heading").textContent = `Files (${files.length})`;
  byID("files-rows").replaceChildren(...files.map((f) => make("tr", { "data-status": f.status }, cell(make("code", {}, f.path)), cell(words(f.change)),
    cell([words(f.status), (f.reasons ?? []).map(words).join(", ")].filter(Boolean).join(": ")), cell(`${f.linesCovered ?? 0} of ${f.linesTotal ?? 0}`),
    cell((f.reviewers ?? []).join(", ")))));
  const reviewers = review.coverage?.reviewers ?? [];
  byID("reviewers").hidden = reviewers.length === 0;
  byID("reviewers-rows").replaceChildren(...reviewers.map((r) => make("tr", {}, cell(r.name), cell([words(r.status), words(r.reason)].filter(Boolean).join(": ")),
    cell(counted(r.files ?? 0, "file")), cell(counted(r.proposals ?? 0, "proposal")))));
}
