// What a job's events add up to. Pure: no document, no network.

const stageNames = {
  plan: "Plan", answer: "Answer", propose: "Propose", group: "Group", rank: "Rank", cross_examine: "Cross-examine",
  synthesise: "Conclude", conclude: "Conclude", resolve: "Resolve", fetch: "Fetch", context: "Context", inspect: "Inspect",
  deliberate: "Deliberate", locate: "Locate", publish: "Publish",
};

export const stageName = (stage) => stageNames[stage] ?? stage;

export function begin() {
  return {
    state: "", reason: "", error: null, attempt: 0, stages: [], members: new Map(), answers: new Map(), ballots: new Map(),
    ranking: null, answer: { text: "", attempt: 0, writing: false, chairman: "", origin: "" }, title: "", progress: null, waiting: null, children: [],
  };
}

// fold takes the next event into what came before, and returns a sentence for people where it is worth one.
export function fold(to, event) {
  if (event.stateChanged) return stateChanged(to, event.stateChanged);
  if (event.progress) to.progress = event.progress;
  to.waiting = event.review?.waiting ?? null; // whatever comes next, the wait is over
  if (to.waiting) return `${stageName(to.waiting.stage)} waits: ${reasonOfWait(to.waiting)}.`;
  if (event.review?.deliberationStarted) to.children.push(event.review.deliberationStarted.job);
  return event.council ? council(to, event.council) : "";
}

function stateChanged(to, change) {
  if (change.attempt > to.attempt && to.attempt > 0) { // a retry: what it does anew is told anew
    const kept = { children: to.children, title: to.title };
    Object.assign(to, begin(), kept);
  }
  to.attempt = Math.max(to.attempt, change.attempt);
  to.state = change.state;
  to.waiting = null;
  to.reason = change.stateReason;
  to.error = change.error ?? null;
  if (!["QUEUED", "RUNNING", "CANCELLING"].includes(to.state)) {
    to.answer.writing = false;
    for (const s of to.stages) if (s.state === "running") s.state = "stopped";
    for (const m of to.members.values()) if (m.state === "answering" || m.state === "judging") m.state = m.answer ? "answered" : "stopped";
  }
  return "The job is " + words(to.state) + ".";
}

// words spells an enum's value for people.
export const words = (value) => String(value ?? "").toLowerCase().replaceAll("_", " ");

// reasonOfWait says why the forge keeps a review waiting.
export const reasonOfWait = ({ reason }) =>
  ({ FORGE_LIMIT: "the forge’s rate limit is reached", FORGE_UNAVAILABLE: "the forge does not answer" })[reason] ?? words(reason);

function seat(to, id) {
  if (!to.members.has(id)) to.members.set(id, { id, model: "", state: "waiting", note: "", took: "", text: "", attempt: 0, answer: null });
  return to.members.get(id);
}

function stage(to, name) {
  let found = to.stages.find((s) => s.name === name);
  if (!found) to.stages.push((found = { name, state: "waiting" }));
  return found;
}

function council(to, e) {
  if (e.planned) {
    for (const name of e.planned.stages ?? []) stage(to, name);
    for (const m of e.planned.members ?? []) seat(to, m.id || m.model).model = m.model;
    to.answer.chairman = e.planned.chairman?.model ?? "";
    return `${to.members.size} members are seated.`;
  }
  if (e.stageStarted) {
    stage(to, e.stageStarted.stage).state = "running";
    return `${stageName(e.stageStarted.stage)} begins.`;
  }
  if (e.stageCompleted) {
    const s = stage(to, e.stageCompleted.stage);
    s.state = e.stageCompleted.skipped ? "skipped" : "done";
    s.note = words(e.stageCompleted.skipped || "");
    return "";
  }
  if (e.memberStarted) return memberStarted(to, e.memberStarted);
  if (e.memberDelta) return memberDelta(to, e.memberDelta);
  if (e.memberAnswered) return memberAnswered(to, e.memberAnswered.answer);
  if (e.memberProposed) {
    const m = seat(to, e.memberProposed.member);
    m.state = "answered";
    m.note = `${(e.memberProposed.proposals ?? []).length} findings proposed`;
    return `${m.id} has proposed findings.`;
  }
  if (e.memberFailed) return memberFailed(to, e.memberFailed);
  if (e.ballotCast) return ballotCast(to, e.ballotCast.ballot);
  if (e.ballotRejected) {
    seat(to, e.ballotRejected.reviewer).state = "answered";
    to.ballots.set(e.ballotRejected.reviewer, { reviewer: e.ballotRejected.reviewer, ranking: [], note: e.ballotRejected.reason || words(e.ballotRejected.parse) });
    return "";
  }
  if (e.votesCast) {
    const m = seat(to, e.votesCast.reviewer);
    m.state = "answered";
    m.note = `voted on ${(e.votesCast.votes ?? []).length} findings`;
    return "";
  }
  if (e.rankingCompleted) {
    to.ranking = e.rankingCompleted.aggregate;
    return "The ballots are counted.";
  }
  return conclusion(to, e);
}

function memberStarted(to, e) {
  const m = seat(to, e.member);
  m.model = e.model || m.model;
  m.state = e.stage === "answer" || e.stage === "propose" ? "answering" : "judging";
  m.note = e.attempt > 1 ? `attempt ${e.attempt}` : "";
  return "";
}

function memberDelta(to, e) {
  if (e.stage !== "answer") return ""; // the other stages' texts are for machines
  const m = seat(to, e.member);
  if (e.attempt > m.attempt) { // a higher attempt voids the text of a lower one
    m.attempt = e.attempt;
    m.text = "";
  }
  if (e.attempt === m.attempt) m.text += e.text;
  return "";
}

function memberAnswered(to, a) {
  const m = seat(to, a.member);
  Object.assign(m, { model: a.model || m.model, state: "answered", text: a.text, attempt: a.attempt, answer: a.id });
  m.took = [seconds(a.latency), a.finish && a.finish !== "STOP" && a.finish !== "FINISH_UNSPECIFIED" ? "ended by " + words(a.finish) : ""].filter(Boolean).join(", ");
  to.answers.set(a.id, a);
  return `${a.member} has answered.`;
}

function memberFailed(to, e) {
  const m = seat(to, e.member);
  m.state = e.willRetry ? m.state : m.answer ? "answered" : "failed";
  m.note = `${words(e.class)}${e.message ? ": " + e.message : ""}${e.willRetry ? ", trying again" : ""}`;
  return e.willRetry ? "" : `${e.member} has failed.`;
}

function ballotCast(to, b) {
  seat(to, b.reviewer).state = "answered";
  to.ballots.set(b.reviewer, { reviewer: b.reviewer, ranking: b.ranking ?? [], note: b.counted ? "" : "not counted: " + words(b.parse) });
  return `${b.reviewer} has cast a ballot.`;
}

function conclusion(to, e) {
  const a = to.answer;
  if (e.synthesisStarted) {
    Object.assign(a, { chairman: e.synthesisStarted.chairman, attempt: e.synthesisStarted.attempt, text: "", writing: true });
    return `The chairman, ${a.chairman}, concludes.`;
  }
  if (e.synthesisDelta) {
    if (e.synthesisDelta.attempt > a.attempt) Object.assign(a, { attempt: e.synthesisDelta.attempt, text: "" });
    if (e.synthesisDelta.attempt === a.attempt) a.text += e.synthesisDelta.text;
    return "";
  }
  if (e.synthesisFailed) {
    a.writing = false;
    return `The chairman, ${e.synthesisFailed.chairman}, has failed.`;
  }
  if (e.synthesisCompleted) {
    Object.assign(a, { text: e.synthesisCompleted.text, chairman: e.synthesisCompleted.chairman, origin: e.synthesisCompleted.origin, writing: false });
    return "The answer stands.";
  }
  if (e.titleGenerated) to.title = e.titleGenerated.title;
  return "";
}

// result takes what a job froze at its end into a fold whose events are gone.
export function result(to, job) {
  const r = job.deliberation;
  Object.assign(to, { state: job.state, reason: job.stateReason, error: job.error ?? null, attempt: job.attempt });
  if (!r) return;
  for (const a of r.answers ?? []) memberAnswered(to, a);
  for (const b of r.ballots ?? []) ballotCast(to, b);
  to.ranking = r.aggregate ?? null;
  to.title = r.title || to.title;
  Object.assign(to.answer, { text: r.answer, chairman: r.chairman, origin: r.origin, writing: false });
}

function seconds(duration) {
  const value = Number.parseFloat(duration);
  return Number.isFinite(value) ? `${value.toFixed(1)} s` : "";
}

// summary says in a few words what an event holds, for the log.
export function summary(event) {
  const inner = event.council ?? event.review ?? event.index;
  if (event.stateChanged) return [words(event.stateChanged.state), event.stateChanged.stateReason].filter(Boolean).join(" ");
  if (event.progress) return `${event.progress.done}/${event.progress.total} ${event.progress.unit}`;
  const body = Object.values(inner ?? {})[0] ?? {};
  const who = body.member ?? body.reviewer ?? body.chairman ?? body.answer?.member ?? body.ballot?.reviewer ?? body.source ?? "";
  const more = body.text !== undefined ? `${body.text.length} characters` : body.message ?? body.reason ?? body.title ?? "";
  return [typeof who === "string" ? who : "", body.stage ?? "", more].filter(Boolean).join(" · ");
}
