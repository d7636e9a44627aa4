// Clients that others wrote follow long logs through connections that are reset at random bytes, and must hold each event of
// the log once, in order and unchanged. CUTS and EVENTS say how many there have to be, SEED repeats a run, REPORT names a file.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { fetchEventSource } from "@microsoft/fetch-event-source";
import { EventSource } from "eventsource";
import { createEventSource } from "eventsource-client";
import { chromium } from "playwright-core";

import { Cutter, generator } from "./cutter.mjs";
import { World } from "./world.mjs";

// fetch-event-source is made for browsers: it wants their timers, and to know whether the page is seen.
globalThis.window = globalThis;
globalThis.document = { hidden: false, addEventListener() {}, removeEventListener() {} };

const wanted = { cuts: Number(process.env.CUTS ?? 40), events: Number(process.env.EVENTS ?? 10_000) };
const seed = Number(process.env.SEED || Math.floor(Math.random() * 2 ** 32));
const begun = Date.now();
// Whoever hangs for longer than this has lost something.
const patience = 240_000;
const most = 900_000; // bytes of a connection

// canonical is the JSON of a value with sorted keys.
function canonical(value) {
  if (Array.isArray(value)) return "[" + value.map(canonical).join() + "]";
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  return "{" + Object.keys(value).sort().map((k) => JSON.stringify(k) + ":" + canonical(value[k])).join() + "}";
}

const clients = {
  "npm eventsource": ({ base, job, names }, take) => new Promise((resolve, reject) => {
    const source = new EventSource(`${base}/v1/${job}:watch?after_seq=0`);
    const end = (finish) => { source.close(); finish(); };
    source.addEventListener("done", () => end(resolve));
    source.addEventListener("error", (e) => { if (source.readyState === EventSource.CLOSED) end(() => (e.code === 204 ? resolve() : reject(new Error(e.message)))); });
    for (const name of names) source.addEventListener(name, (e) => take(e.lastEventId, e.data));
  }),
  "npm eventsource-client": ({ base, job }, take) => new Promise((resolve) => {
    const source = createEventSource({
      url: `${base}/v1/${job}:watch?after_seq=0`,
      onMessage: ({ id, event, data }) => {
        if (event !== "done") return take(id, data);
        source.close();
        resolve();
      },
      onDisconnect: () => { if (source.readyState === "closed") resolve(); },
    });
  }),
  "npm @microsoft/fetch-event-source": ({ base, job }, take) => {
    const left = new AbortController();
    // It comes back with an id as soon as it has read it, before the rest of the event: a cut between the two would lose the
    // event. So the position that was taken is sent instead, as docs/jobs.md advises.
    let last = "0";
    const from = (url, init) => fetch(url, { ...init, headers: { ...init.headers, "last-event-id": last } });
    return fetchEventSource(`${base}/v1/${job}:watch?after_seq=0`, {
      signal: left.signal, openWhenHidden: true, fetch: from,
      onopen: async (response) => { if (response.status === 204) left.abort(); else assert.equal(response.status, 200); },
      onmessage: ({ id, event, data }) => { if (event === "done") left.abort(); else if (data) take(last = id, data); },
      onclose: () => { throw new Error("ended without done"); }, // which makes it come back
      onerror: (error) => { if (error instanceof assert.AssertionError) throw error; return 1000; },
    });
  },
  "Node.js fetch, lines": async ({ base, job }, take) => {
    for (let last = "0"; ; await new Promise((again) => setTimeout(again, 20))) {
      try {
        const response = await fetch(`${base}/v1/${job}:watch?after_seq=${last}`);
        if (response.status === 204) return;
        let rest = "";
        const text = new TextDecoder();
        for await (const chunk of response.body) {
          const lines = (rest + text.decode(chunk, { stream: true })).split("\n");
          rest = lines.pop();
          for (const line of lines) {
            const { seq } = JSON.parse(line);
            if (seq !== "0") take(last = seq, line);
          }
        }
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // fetch's name for a broken connection
      }
    }
  },
  "Chromium EventSource": async ({ base, job, names, browser }, take) => {
    const tab = await browser.newPage();
    try {
      await tab.goto(base + "/");
      const events = await tab.evaluate(([job, names]) => new Promise((resolve, reject) => {
        const events = [];
        const source = new window.EventSource(`/v1/${job}:watch?after_seq=0`);
        const end = () => { source.close(); resolve(events); };
        source.addEventListener("done", end);
        // It gives up for good where the server says 204, and where headers are cut in a way that it takes for an answer.
        source.addEventListener("error", () => { if (source.readyState === 2) reject(new Error(`closed after ${events.length} events`)); });
        for (const name of names) source.addEventListener(name, (e) => events.push([e.lastEventId, e.data]));
      }), [job, names]);
      for (const [id, data] of events) take(id, data);
    } finally {
      await tab.close();
    }
  },
  "Python httpx-sse": (place, take) => python("sse", place.base, place, take),
  "Python httpx lines": (place, take) => python("lines", place.base, place, take),
  "Python grpcio": (place, take) => python("grpc", place.grpc, place, take),
};

const children = new Set();

function python(how, address, { job }, take) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.env.PYTHON, [process.env.CUTS_CLIENT, how, address, job], { stdio: ["ignore", "pipe", "inherit"] });
    children.add(child);
    const lines = createInterface(child.stdout).on("line", (line) => {
      const tab = line.indexOf("\t");
      take(line.slice(0, tab), line.slice(tab + 1));
    });
    const read = new Promise((all) => lines.on("close", all));
    child.on("error", reject);
    child.on("exit", async (code) => { children.delete(child); await read; if (code === 0) resolve(); else reject(new Error(`${how} exited with ${code}`)); });
  });
}

// follow has one client follow a job and holds what it got against the log.
async function follow(name, place, log) {
  const got = [];
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error("waited too long")), patience); });
  try {
    await Promise.race([clients[name](place, (id, data) => got.push([id, data])), late]);
  } catch (error) {
    throw new Error(`${name} after ${got.length} events (seed ${seed}): ${error.stack ?? error}`);
  } finally {
    clearTimeout(timer);
  }
  const want = await log();
  got.forEach(([id], i) => assert.equal(id, String(i + 1), `${name}: event ${i + 1} has the number ${id} (seed ${seed})`));
  assert.equal(got.length, want.length, `${name}: lost the end (seed ${seed})`);
  got.forEach(([, data], i) => assert.equal(canonical(JSON.parse(data)), want[i], `${name}: event ${i + 1} differs (seed ${seed})`));
  return got.length;
}

async function main() {
  const world = await World.open();
  const profile = await mkdtemp(join(tmpdir(), "witan-cuts-"));
  const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
  const browser = await chromium.launchPersistentContext(profile, { executablePath: process.env.CHROMIUM, args: flags, chromiumSandbox: false });
  const random = generator(seed);
  const cutters = [];
  try {
    // Words with letters of one to four bytes, so that cuts fall within them.
    const words = Array.from({ length: 9_000 }, (_, i) => `${i} straße € 😀 quote" back\\slash`).join("\n");
    world.settings.councils[0].mode = "ANSWERS_ONLY";
    await world.configure({});
    await writeFile(join(world.dir, "script.json"), JSON.stringify({
      timing: { first_token: "50ms", latency: "6s", chunk_bytes: 200 },
      rules: [{ when: { stage: "answer" }, then: { text: words } }],
    }));
    await world.serve();
    const names = await world.api("/web/events.json");
    const cutter = async (target, cuts) => {
      const c = await new Cutter(target, random, most, cuts).listen();
      cutters.push(c);
      return c;
    };
    const watching = (chunk) => chunk.includes(":watch");
    const per = Object.fromEntries(await Promise.all(Object.keys(clients).map(async (name) => {
      const [http, grpc] = [await cutter(world.http, watching), await cutter(world.grpc)];
      return [name, { http, grpc, base: "http://" + http.address, address: grpc.address, events: 0, logs: 0 }];
    })));
    const sum = (of) => Object.values(per).reduce((n, p) => n + of(p), 0);
    const cutsOf = (p) => p.http.cuts + p.grpc.cuts;
    for (let round = 1; sum(cutsOf) < wanted.cuts || sum((p) => p.events) < wanted.events; round++) {
      const { job } = await world.api("/v1/deliberations", { method: "POST", body: { question: { text: `Round ${round}?` }} });
      let log;
      const whole = () => (log ??= readLog(world, job));
      await Promise.all(Object.entries(per).map(async ([name, p]) => {
        p.events += await follow(name, { base: p.base, grpc: p.address, job, names, browser }, whole);
        p.logs++;
        if (process.env.VERBOSE) console.log(`${name}: ${p.events} events, ${cutsOf(p)} cuts, ${Math.round((Date.now() - begun) / 1000)} s`);
      }));
      console.log(`round ${round}: ${sum(cutsOf)} cuts, ${sum((p) => p.events)} events`);
    }
    const table = Object.entries(per).map(([name, p]) => `| ${name} | ${p.logs} | ${p.events} | ${cutsOf(p)} |`);
    console.log(["| client | logs | events | cuts |", "|---|---|---|---|", ...table].join("\n"));
    console.log(`${sum(cutsOf)} cuts over ${sum((p) => p.events)} events: 0 lost, 0 doubled, 0 out of order`);
    if (process.env.REPORT) await report(process.env.REPORT, table, sum(cutsOf), sum((p) => p.events));
  } finally {
    children.forEach((c) => c.kill("SIGKILL"));
    cutters.forEach((c) => c.close());
    await browser.close();
    await rm(profile, { recursive: true, force: true });
    await world.close();
  }
}

// readLog is the canonical JSON of each event of a log.
async function readLog(world, job) {
  const events = [];
  for (let page = ""; ; ) {
    const answer = await world.api(`/v1/${job}/events?page_size=1000&page_token=${encodeURIComponent(page)}`);
    events.push(...(answer.events ?? []));
    if (!(page = answer.nextPageToken)) break;
  }
  events.forEach((e, i) => assert.equal(e.seq, String(i + 1), "the log is dense"));
  assert.equal(events.at(-1).final, true, "the log has ended");
  return events.map(canonical);
}

async function report(file, table, cuts, events) {
  const commit = execFileSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).trim();
  await writeFile(file, `# Cuts

Clients that others wrote follow long logs while they grow, each through a proxy that resets its connections at random bytes:
half of them in the first kilobytes, headers included, half anywhere in ${most / 1000} kB. Each client has to hold every event of the
log once, in order, with the same content. \`@microsoft/fetch-event-source\` has a \`fetch\` that sends the last event that was handed
over, \`grpcio\` pings its connection: without these the one loses an event and the other hangs
([jobs.md](../jobs.md#clients-that-others-wrote)). Written by \`make cuts\`.

${cuts} cuts over ${events} events: 0 lost, 0 doubled, 0 out of order.

| client | logs | events | cuts |
|---|---|---|---|
${table.join("\n")}

Seed ${seed} (\`make cuts SEED=${seed}\` cuts at the same places as far as the clients' own timing allows), ${new Date().toISOString().slice(0, 10)}, ${commit},
${cpus().length} CPUs (${cpus()[0].model}), Node.js ${process.versions.node}, ${Math.round((Date.now() - begun) / 1000)} s.
`);
}

await main();
