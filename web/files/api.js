// Calls of the REST interface, and what went wrong with them.

const tokenKey = "witan.token";

// What a person can do about the reasons that this page can meet. The server's own sentence is shown as well.
const advice = {
  NO_MODEL_CONFIGURED: "Configure a model for the server; `witan doctor` shows what is found.",
  CONVERSATION_ACTIVE: "Wait for the answer that is being written, or cancel that job.",
  JOB_NOT_FINISHED: "Cancel the job first, or wait for its end.",
  JOB_NOT_RETRYABLE: "A job that succeeded has nothing to repeat. Ask again instead.",
  JOB_NOT_FOUND: "It may have been deleted, or belong to someone else.",
  HISTORY_EXPIRED: "The events are gone, what came of the job is still there.",
  COUNCIL_NOT_FOUND: "Choose another council.",
  CROSS_ORIGIN: "Open the page under an address that the server knows as its own.",
  TOKEN_MISSING: "Sign in with an access token.",
  TOKEN_INVALID: "Sign in with a token that the server knows.",
  NOT_IMPLEMENTED: "This version of the server cannot do it yet.",
  DATABASE_AWAY: "Try again after a moment.",
};

// Failure is an answer that was none. retryable says whether the same call may succeed later.
export class Failure extends Error {
  constructor({ message, code = 0, status = "", reason = "", metadata = {}, fields = [], retryable = false }) {
    super(message);
    Object.assign(this, { code, status, reason, metadata, fields, retryable });
  }

  get advice() {
    return advice[this.reason] ?? (this.retryable ? "Try again after a moment." : "");
  }
}

// failureOf reads the error that a response or a stream_error carries.
export function failureOf(code, text) {
  let error;
  try {
    error = JSON.parse(text).error;
  } catch {
    // something in between has answered
  }
  if (typeof error !== "object" || error === null) {
    return new Failure({ message: `the server answered with HTTP ${code}`, code, retryable: code >= 500 || code === 429 });
  }
  const details = Array.isArray(error.details) ? error.details : [];
  const typed = (name) => details.find((d) => String(d?.["@type"]).endsWith("/" + name)) ?? {};
  const info = typed("google.rpc.ErrorInfo");
  const fields = (typed("google.rpc.BadRequest").fieldViolations ?? []).map((v) => `${v.field}: ${v.description}`);
  return new Failure({
    message: String(error.message || error.status || `HTTP ${code}`), code, status: String(error.status ?? ""),
    reason: String(info.reason ?? ""), metadata: info.metadata ?? {}, fields, retryable: code === 503,
  });
}

export const token = {
  get: () => sessionStorage.getItem(tokenKey) ?? "",
  set: (value) => (value ? sessionStorage.setItem(tokenKey, value) : sessionStorage.removeItem(tokenKey)),
};

export function headers(more = {}) {
  const value = token.get();
  return value ? { ...more, Authorization: "Bearer " + value } : more;
}

// call makes one call; path begins behind /v1/. It fails with a Failure.
export async function call(method, path, { query = {}, body, signal } = {}) {
  const at = new URL("v1/" + path, document.baseURI.split("#")[0]);
  for (const [key, value] of Object.entries(query)) {
    for (const one of [value].flat()) if (one !== undefined && one !== "") at.searchParams.append(key, one);
  }
  const limit = AbortSignal.timeout(30000);
  let response, text;
  try {
    response = await fetch(at, {
      method, signal: signal ? AbortSignal.any([signal, limit]) : limit, cache: "no-store", credentials: "omit",
      headers: headers(body === undefined ? {} : { "Content-Type": "application/json" }),
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    text = await response.text();
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new Failure({ message: "the server cannot be reached", retryable: true });
  }
  if (!response.ok) throw failureOf(response.status, text);
  try {
    return text ? JSON.parse(text) : {};
  } catch {
    throw new Failure({ message: "the server's answer is no JSON", code: response.status });
  }
}

// uuid is random; crypto.randomUUID is missing on plain http addresses.
export function uuid() {
  const b = crypto.getRandomValues(new Uint8Array(16));
  b[6] = (b[6] & 0x0f) | 0x40;
  b[8] = (b[8] & 0x3f) | 0x80;
  const hex = Array.from(b, (x) => x.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
