// A reader of server-sent events for streams that need a header, which EventSource cannot send. It follows the HTML
// standard's rules: any line ending, one byte order mark, fields, comments; what ends without an empty line is dropped.

const maxEvent = 64 << 20; // characters; the server's largest event is far below

export class Reader {
  #decoder = new TextDecoder("utf-8");
  #rest = "";
  #afterReturn = false;
  #data = [];
  #size = 0;
  #type = "";
  #id;

  // push takes bytes and calls emit({type, data, id}) for each event that they complete; id is undefined where the event
  // names none. beat is called for comments.
  push(bytes, emit, beat = () => {}) {
    let text = this.#decoder.decode(bytes, { stream: true });
    if (this.#afterReturn && text !== "") {
      if (text.startsWith("\n")) text = text.slice(1);
      this.#afterReturn = false;
    }
    text = this.#rest + text;
    let from = 0;
    const ending = /\r\n|\n|\r/g;
    ending.lastIndex = this.#rest.length;
    for (let end; (end = ending.exec(text)); ) {
      if (end[0] === "\r" && ending.lastIndex === text.length) this.#afterReturn = true;
      this.#line(text.slice(from, end.index), emit, beat);
      from = ending.lastIndex;
    }
    this.#rest = text.slice(from);
    if (this.#rest.length + this.#size > maxEvent) throw new RangeError("an event is too long");
  }

  #line(line, emit, beat) {
    if (line === "") {
      if (this.#data.length > 0) emit({ type: this.#type || "message", data: this.#data.join("\n"), id: this.#id });
      this.#data = [];
      this.#size = 0;
      this.#type = "";
      this.#id = undefined;
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return beat(line.slice(1).trimStart());
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") {
      this.#data.push(value);
      this.#size += value.length + 1;
    } else if (field === "event") {
      this.#type = value;
    } else if (field === "id" && !value.includes("\0")) {
      this.#id = value;
    }
  }
}
