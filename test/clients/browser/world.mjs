// A real server with simulated models that take their time, and what its log says.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

export const patience = 90_000;
export const binary = resolve(process.env.WITAN);
const fakeGitHubBinary = process.env.FAKEGITHUB;

// within fails where something takes longer than anything here should.
export async function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited too long for ${what}`)), patience);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

// World is a data folder with a configuration, and at most one running server on it.
export class World {
  output = [];
  http = "127.0.0.1:0";
  grpc = "127.0.0.1:0";

  static async open() {
    const world = new World();
    world.dir = await mkdtemp(join(tmpdir(), "witan-clients-"));
    const path = join(world.dir, "script.json");
    await writeFile(path, JSON.stringify({ timing: { first_token: "200ms", latency: "2500ms", chunk_bytes: 24 } }));
    const models = ["ada", "ben", "cyd", "chair"].map((name) => ({ name, provider: "simulated", script: path }));
    const councils = [{ name: "default", members: ["ada", "ben", "cyd"], chairman: { model: "chair" } }];
    world.config = join(world.dir, "witan.yaml");
    world.settings = { models, councils };
    await world.configure({});
    return world;
  }

  // configure adds to the configuration of the servers that start from now on.
  async configure(more) {
    Object.assign(this.settings, more);
    await writeFile(this.config, JSON.stringify(this.settings));
  }

  // serve starts a server; from the second time on at the same addresses.
  async serve() {
    this.process = spawn(binary, ["serve", "--config", this.config, "--data", join(this.dir, "data"), "--http-addr", this.http, "--grpc-addr", this.grpc],
      { stdio: ["ignore", "ignore", "pipe"] });
    const { process } = this;
    this.gone = once(process, "exit");
    const ready = new Promise((found, failed) => {
      createInterface(process.stderr).on("line", (line) => {
        this.output.push(line);
        const match = /msg=serving .*grpc_addr=(\S+) http_addr=(\S+)/.exec(line);
        if (match) found(match);
      });
      this.gone.then(() => failed(new Error("the server ended:\n" + this.output.join("\n"))));
    });
    [, this.grpc, this.http] = await within(ready, "the server");
    return this;
  }

  // kill ends the server as a crash would.
  async kill() {
    this.process.kill("SIGKILL");
    await within(this.gone, "the killed server's end");
  }

  async close() {
    if (this.process?.exitCode === null && this.process?.signalCode === null) await this.kill();
    await rm(this.dir, { recursive: true, force: true });
  }

  get base() {
    return "http://" + this.http;
  }

  // api makes a call; token is sent where it is given.
  async api(path, { method = "GET", body, token } = {}) {
    const response = await fetch(this.base + path, {
      method, body: body && JSON.stringify(body), headers: token ? { Authorization: "Bearer " + token } : {}, signal: AbortSignal.timeout(patience),
    });
    const text = await response.text();
    assert.equal(response.status, 200, text);
    return JSON.parse(text);
  }

  // log is a job's whole log, read in small pages.
  async log(job, token) {
    const events = [];
    for (let page = ""; ; ) {
      const answer = await this.api(`/v1/${job}/events?page_size=17&page_token=${encodeURIComponent(page)}`, { token });
      events.push(...(answer.events ?? []));
      page = answer.nextPageToken;
      if (!page) break;
    }
    events.forEach((e, i) => assert.equal(e.seq, String(i + 1), "the log is dense"));
    return events;
  }
}

// fakeGitHub starts the simulated GitHub with what a scenario says, until the test t ends; its App and tokens are in
// folder/github. control calls its control address.
export async function fakeGitHub(t, folder, scenario) {
  const file = join(folder, "scenario.yaml");
  await writeFile(file, JSON.stringify(scenario)); // JSON is YAML
  const out = join(folder, "github");
  const process = spawn(fakeGitHubBinary, ["-scenario", file, "-out", out], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => process.kill("SIGKILL"));
  const gone = once(process, "exit").then(() => { throw new Error("the simulated GitHub ended"); });
  gone.catch(() => {}); // it ends with the test
  await within(Promise.race([once(createInterface(process.stdout), "line"), gone]), "the simulated GitHub");
  const server = JSON.parse(await readFile(join(out, "server.json"), "utf8"));
  const control = async (path, body) => {
    const response = await fetch(server.control_url + path, { method: "POST", body: JSON.stringify(body), signal: AbortSignal.timeout(patience) });
    assert.equal(response.status, 200, await response.text());
  };
  return { server, control };
}

// nameOf is an event's name as server-sent events spell it.
export function nameOf(event) {
  const snake = (name) => name.replace(/[A-Z]/g, (c) => "_" + c.toLowerCase());
  for (const outer of ["council", "review", "index"]) {
    if (event[outer]) return `${outer}.${snake(Object.keys(event[outer])[0])}`;
  }
  return "job." + snake(Object.keys(event).find((key) => !["seq", "time", "epoch", "final"].includes(key)));
}
