// A proxy that resets its connections after a random number of the server's bytes.

import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect, createServer } from "node:net";

// generator gives numbers in [0, 1) that follow from a seed.
export function generator(seed) {
  let n = 0;
  return () => createHash("sha256").update(`${seed}/${n++}`).digest().readUInt32BE() / 2 ** 32;
}

// Cutter listens in front of one address. A connection is cut once something was asked for on it that cuts says yes to.
export class Cutter {
  cuts = 0;
  bytes = 0;
  sockets = new Set();

  constructor(target, random, most, cuts = () => true) {
    Object.assign(this, { target, random, most, asked: cuts });
  }

  async listen() {
    this.server = createServer((client) => this.serve(client)).listen(0, "127.0.0.1");
    await once(this.server, "listening");
    this.address = "127.0.0.1:" + this.server.address().port;
    return this;
  }

  // room is how much a connection may carry: half of them die young, in the middle of headers too.
  room() {
    return Math.ceil(this.random() < 0.5 ? Math.exp(this.random() * Math.log(this.most)) : this.random() * this.most);
  }

  serve(client) {
    const [host, port] = this.target.split(":");
    const server = connect({ host, port: Number(port) });
    const end = () => { client.destroy(); server.destroy(); this.sockets.delete(client); };
    this.sockets.add(client);
    let left = Infinity;
    client.on("data", (chunk) => {
      if (left === Infinity && this.asked(chunk)) left = this.room();
      server.write(chunk);
    });
    server.on("data", (chunk) => {
      this.bytes += Math.min(chunk.length, left);
      if (chunk.length < left) {
        left -= chunk.length;
        if (!client.write(chunk)) {
          server.pause();
          client.once("drain", () => server.resume());
        }
        return;
      }
      server.pause();
      const last = chunk.subarray(0, left);
      left = 0;
      // What was written before arrives, then the connection is reset.
      client.write(last, () => { this.cuts++; client.resetAndDestroy(); server.resetAndDestroy(); });
    });
    for (const socket of [client, server]) socket.on("error", end).on("close", end);
  }

  close() {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }
}
