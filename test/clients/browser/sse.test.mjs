// The page's own reader of server-sent events, and one that others wrote.

import assert from "node:assert/strict";
import { test } from "node:test";

import { EventSource } from "eventsource";

import { Reader } from "./sse.mjs"; // web/files/sse.js
import { World, nameOf, within } from "./world.mjs";

function read(chunks) {
  const reader = new Reader();
  const events = [], beats = [];
  for (const chunk of chunks) reader.push(chunk, (e) => events.push(e), (b) => beats.push(b));
  return { events, beats };
}

test("the reader gives the same events for every way to cut the bytes", () => {
  const stream = new TextEncoder().encode(
    "\uFEFFretry: 1000\n\n: connected\r\n\r\nid: 1\nevent: job.state_changed\ndata: {\"a\":\"ü€😀\"}\n\nid: 2\rdata: one\rdata:two\rdata\r\r" +
    "event: done\ndata: {}\n\nunknown: x\ndata\n\nid: 9\u0000\ndata: nul\n\nevent: nothing\n\ndata: dropped at the end");
  const want = [
    { type: "job.state_changed", data: '{"a":"ü€😀"}', id: "1" }, { type: "message", data: "one\ntwo\n", id: "2" },
    { type: "done", data: "{}", id: undefined }, { type: "message", data: "", id: undefined }, { type: "message", data: "nul", id: undefined },
  ];
  const whole = read([stream]);
  assert.deepEqual(whole.events, want);
  assert.deepEqual(whole.beats, ["connected"]);
  for (let cut = 0; cut <= stream.length; cut++) {
    assert.deepEqual(read([stream.subarray(0, cut), stream.subarray(cut)]), whole, `cut at ${cut}`);
  }
  assert.deepEqual(read(Array.from(stream, (_, i) => stream.subarray(i, i + 1))), whole, "byte by byte");
});

test("npm eventsource through a killed server holds the log", async (t) => {
  const world = await (await World.open()).serve();
  t.after(() => world.close());
  const { job } = await world.api("/v1/deliberations", { method: "POST", body: { question: { text: "Do strangers get it right?" } } });
  const names = await world.api("/web/events.json");
  const events = [];
  const source = new EventSource(`${world.base}/v1/${job}:watch?after_seq=0`);
  t.after(() => source.close());
  const done = new Promise((resolve) => source.addEventListener("done", resolve));
  let few;
  const begun = new Promise((resolve) => { few = resolve; });
  for (const name of names) {
    source.addEventListener(name, (e) => {
      assert.equal(JSON.parse(e.data).seq, e.lastEventId);
      events.push({ name, event: JSON.parse(e.data) });
      if (events.length === 15) few();
    });
  }
  await within(begun, "the first events");
  await world.kill();
  await world.serve();
  await within(done, "the end");
  const log = await world.log(job);
  assert.deepEqual(events.map((e) => e.event), log);
  assert.deepEqual(events.map((e) => e.name), log.map(nameOf));
});
