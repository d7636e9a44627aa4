// A server that verifies webhooks of GitHub by @octokit/webhooks and does nothing with them: node server.mjs SECRET
import { createServer } from "node:http";
import { Webhooks, createNodeMiddleware } from "@octokit/webhooks";

const webhooks = new Webhooks({ secret: process.argv[2] });
webhooks.onAny(() => {});
const server = createServer(createNodeMiddleware(webhooks, { path: "/webhooks/github", log: { debug() {}, info() {}, warn() {}, error() {} } }));
server.listen(0, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
