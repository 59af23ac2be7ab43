// Who is signed in. All of it stays in this page's memory: it is gone with the page, unless the next of
// ours takes it over (along.js).

const EARLY_MS = 30_000;

/** What the API refuses. */
export class Refused extends Error {
  constructor(status, told) {
    super(told.title ?? `The API answered ${status}`);
    this.status = status;
    this.errorId = told.error_id ?? "";
    this.told = told;
  }
}

export class Session {
  #tokens = null;
  #refreshing = null;

  get isOpen() { return this.#tokens !== null; }
  get tenant() { return this.#tokens?.tenant ?? ""; }
  get tokens() { return this.#tokens; }

  /** Go on with the session of the page before. */
  takeOver(tokens) { this.#tokens = tokens; }

  async signIn(said) {
    this.#tokens = await send("POST", "/v1/sessions", { body: said });
  }

  /** Ask where the tenant's identity provider is, and what to bring back from there. */
  async begin(said) { return send("POST", "/v1/oidc/begin", { body: said }); }

  async complete(said) { this.#tokens = await send("POST", "/v1/oidc/complete", { body: said }); }

  async signOut() {
    const token = this.#tokens?.access_token;
    this.#tokens = null;
    if (token) await send("DELETE", "/v1/sessions/current", { token }).catch(() => {});
  }

  forget() { this.#tokens = null; }

  /** Return a token that is good for a while. Raise Refused where the session has ended. */
  async token() {
    if (!this.#tokens) throw new Refused(401, { title: "Sign in" });
    if (Date.parse(this.#tokens.expires) - Date.now() < EARLY_MS) {
      // A refresh token is good once: whoever asks meanwhile waits for the same answer.
      this.#refreshing ??= this.#refresh().finally(() => { this.#refreshing = null; });
      await this.#refreshing;
    }
    return this.#tokens.access_token;
  }

  async #refresh() {
    const body = { refresh_token: this.#tokens.refresh_token };
    const told = await send("POST", "/v1/sessions/refresh", { body });
    if (this.#tokens) this.#tokens = told;
  }

  async get(path, headers = {}) { return send("GET", path, { token: await this.token(), headers }); }

  async ask(method, path, body) { return send(method, path, { token: await this.token(), body }); }

  /** Return the answer as it comes, for what is no JSON. */
  async fetch(path, headers = {}) { return reach("GET", path, { token: await this.token(), headers }); }
}

async function send(method, path, said = {}) {
  const text = await (await reach(method, path, said)).text();
  return text ? JSON.parse(text) : {};
}

/** Raise Refused unless the answer is well. */
async function reach(method, path, { token, body, headers = {} } = {}) {
  const sent = { ...headers };
  if (token) sent.Authorization = `Bearer ${token}`;
  if (body) sent["Content-Type"] = "application/json";
  const reply = await fetch(path, {
    method, headers: sent, body: body && JSON.stringify(body), credentials: "omit", redirect: "error", cache: "no-store",
  });
  if (!reply.ok) throw new Refused(reply.status, JSON.parse(await reply.text() || "{}"));
  return reply;
}
