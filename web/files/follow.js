// Follows one job: every event of its log once, in order, across cuts, reloads and restarts of the server.

import { Failure, call, failureOf, headers, token } from "./api.js";
import { Reader } from "./sse.js";

const firstPause = 500;
const longestPause = 5000;
const silence = 45000; // three heartbeats

const ended = new Set(["SUCCEEDED", "PARTIALLY_SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"]);

// hasEnded says whether nothing but a retry changes a job any more.
export const hasEnded = (job) => ended.has(job?.state);

// Follower calls on.event(type, event) for each event, on.state(state, detail) when the connection's state changes, one of
// connecting, live, reconnecting, finished, error, and on.finished(job) with the job at its end.
export class Follower {
  #job;
  #on;
  #names;
  #stopped = false;
  #source = null;
  #timer = 0;
  #tries = 0;
  last = 0;

  // names are the event types that the server can send, since EventSource hands over only those that it was told.
  constructor(job, names, on) {
    this.#job = job;
    this.#names = names;
    this.#on = on;
  }

  // start opens the stream behind the last event.
  start() {
    this.#close();
    this.#stopped = false;
    this.#on.state(this.#tries === 0 && this.last === 0 ? "connecting" : "reconnecting");
    if (token.get()) this.#read();
    else this.#listen();
  }

  stop() {
    this.#stopped = true;
    this.#close();
  }

  // nudge tries again at once where it waits for the server.
  nudge() {
    if (this.#timer) this.start();
  }

  #close() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#source?.close();
    this.#source = null;
  }

  get #url() {
    return new URL(`v1/${this.#job}:watch?after_seq=${this.last}`, document.baseURI.split("#")[0]);
  }

  #listen() {
    const source = new EventSource(this.#url);
    this.#source = source;
    const current = (f) => (e) => { if (this.#source === source) f(e); };
    source.onopen = current(() => this.#live());
    source.onerror = current(() => {
      if (source.readyState === EventSource.CONNECTING) this.#on.state("reconnecting");
      else this.#ask(); // the browser gave up: an answer that is no stream
    });
    for (const name of this.#names) {
      source.addEventListener(name, current((e) => this.#take(name, e.data, e.lastEventId)));
    }
    source.addEventListener("done", current(() => this.#ask()));
    source.addEventListener("stream_error", current((e) => this.#broken(failureOf(0, e.data))));
  }

  // read is listen for servers that want a token.
  async #read() {
    const abort = new AbortController();
    const source = { close: () => abort.abort() };
    this.#source = source;
    const current = () => this.#source === source;
    let watchdog;
    const alive = () => {
      clearTimeout(watchdog);
      watchdog = setTimeout(() => abort.abort(), silence);
    };
    try {
      alive();
      const response = await fetch(this.#url, {
        headers: headers({ Accept: "text/event-stream", ...(this.last > 0 ? { "Last-Event-ID": String(this.last) } : {}) }),
        signal: abort.signal, cache: "no-store", credentials: "omit",
      });
      if (!current()) return;
      if (response.status === 204) return this.#ask();
      if (!response.ok) return this.#broken(failureOf(response.status, await response.text()));
      if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) throw new Error("the answer is no stream of events");
      this.#live();
      const reader = new Reader();
      const body = response.body.getReader();
      for (;;) {
        const { done, value } = await body.read();
        if (!current()) return;
        if (done) break;
        alive();
        reader.push(value, (e) => {
          if (!current()) return;
          if (e.type === "done") this.#ask();
          else if (e.type === "stream_error") this.#broken(failureOf(0, e.data));
          else this.#take(e.type, e.data, e.id ?? "");
        });
      }
      if (current()) this.#again(); // a clean end without done: come back
    } catch (error) {
      if (!current()) return;
      if (error instanceof RangeError) this.#broken(new Failure({ message: error.message }));
      else this.#again();
    } finally {
      clearTimeout(watchdog);
    }
  }

  #live() {
    this.#on.state("live");
  }

  // take checks one event's place and hands it over.
  #take(type, data, id) {
    let event;
    try {
      event = JSON.parse(data);
    } catch {
      return this.#broken(new Failure({ message: `event ${id || "?"} is no JSON` }));
    }
    const seq = Number(event.seq);
    if (seq === 0) return; // not of the log
    if (seq !== this.last + 1 || String(seq) !== id) {
      return this.#broken(new Failure({
        message: `event ${seq} (id ${id || "none"}) came where ${this.last + 1} was due`, reason: "SEQUENCE_BROKEN",
      }));
    }
    this.last = seq;
    this.#tries = 0;
    this.#on.event(type, event);
  }

  // ask reads the job, to tell its end from a connection's, and a refusal from a server that is away.
  async #ask() {
    this.#close();
    const waiting = { close() {} };
    this.#source = waiting;
    let job;
    try {
      job = await call("GET", this.#job);
    } catch (failure) {
      if (this.#source === waiting) this.#broken(failure);
      return;
    }
    if (this.#source !== waiting) return;
    const newest = Number(job.lastSeq);
    if (hasEnded(job) && newest === this.last) {
      this.stop();
      this.#on.state("finished");
      this.#on.finished(job);
    } else if (Number(job.firstAvailableSeq) > this.last + 1) {
      this.stop();
      this.#on.state("error", new Failure({ message: "the job's events are gone", reason: "HISTORY_EXPIRED" }));
      this.#on.finished(job);
    } else if (newest < this.last) {
      this.#broken(new Failure({ message: `the log ends at event ${newest}, before what was shown`, reason: "SEQUENCE_AHEAD" }));
    } else {
      this.#again();
    }
  }

  // broken ends following for good, unless the server may come back.
  #broken(failure) {
    if (failure.retryable) return this.#again();
    if (failure.reason === "HISTORY_EXPIRED") return this.#ask();
    this.stop();
    this.#on.state("error", failure);
  }

  #again() {
    if (this.#stopped) return;
    this.#close();
    this.#on.state("reconnecting");
    const pause = Math.min(firstPause * 2 ** this.#tries++, longestPause);
    this.#timer = setTimeout(() => this.start(), pause / 2 + Math.random() * (pause / 2));
  }

  // resume follows on after a retry.
  resume() {
    this.#tries = 0;
    if (this.#source === null && !this.#timer) this.start();
  }
}
