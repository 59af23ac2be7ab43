// The event stream: listens, goes on where it was cut, and says how it stands.

import { Refused } from "/wallboard/session.js";

const FIRST_MS = 500;
const LAST_MS = 15_000;
const SILENT_MS = 25_000; // two heartbeats and a half
const SIGNED_OUT = 4001;

export class Stream {
  #session; #topics; #on; #socket = null; #revision = null; #tries = 0; #timer = null; #watch = null; #isOver = false;

  /** `on`: hello(isResumed), event(event), anew(), state(word), over(). */
  constructor(session, topics, on) {
    [this.#session, this.#topics, this.#on] = [session, topics, on];
    this.#connect();
  }

  close() {
    this.#isOver = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#watch);
    this.#socket?.close();
  }

  async #connect() {
    if (this.#isOver) return;
    this.#on.state(this.#revision === null ? "connecting" : "reconnecting");
    try {
      const token = await this.#session.token();
      if (!this.#isOver) this.#open(token);
    } catch (error) {
      if (error instanceof Refused && error.status === 401) this.#end();
      else this.#again();
    }
  }

  #open(token) {
    const asked = new URLSearchParams(this.#topics.map((each) => ["topics", each]));
    if (this.#revision !== null) asked.set("after", String(this.#revision));
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = new WebSocket(`${scheme}://${location.host}/v1/events?${asked}`, ["everline.v1", `bearer.${token}`]);
    this.#socket = socket;
    this.#hear();
    socket.addEventListener("message", (message) => this.#take(JSON.parse(message.data)));
    socket.addEventListener("close", (gone) => {
      clearTimeout(this.#watch);
      if (this.#socket !== socket || this.#isOver) return;
      if (gone.code === SIGNED_OUT) this.#end();
      else this.#again();
    });
  }

  // A line that is dead says nothing, not even that it is: after so long it is given up.
  #hear() {
    clearTimeout(this.#watch);
    this.#watch = setTimeout(() => {
      const dead = this.#socket;
      this.#socket = null;
      dead?.close();
      this.#again();
    }, SILENT_MS);
  }

  #take(told) {
    this.#hear();
    this.#revision = told.revision;
    this.#tries = 0;
    if (told.type === "hello") {
      this.#on.state("live");
      this.#on.hello(told.resumed);
    } else if (told.type === "events") {
      told.events.forEach((each) => this.#on.event(each));
    } else if (told.type === "heartbeat") {
      this.#on.state(told.is_current ? "live" : "stale");
    } else if (told.type === "list_anew") {
      this.#on.anew();
    }
  }

  #again() {
    if (this.#isOver) return;
    this.#on.state("reconnecting");
    // Not all at once: a control plane that comes back has many to welcome.
    const wait = Math.min(LAST_MS, FIRST_MS * 2 ** this.#tries) * (0.5 + Math.random() / 2);
    this.#tries += 1;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), wait);
  }

  #end() {
    this.close();
    this.#on.over();
  }
}
