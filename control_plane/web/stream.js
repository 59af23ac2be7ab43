// The event stream: listens, goes on where it was cut, and says how it stands.

import { Refused } from "/wallboard/session.js";

const FIRST_MS = 500;
const LAST_MS = 15_000;
const SILENT_MS = 25_000; // two heartbeats and a half
const SIGNED_OUT = 4001;
const NOT_A_SOCKET = 426; // what is asked plainly, and would be let in

export class Stream {
  #session; #topics; #on; #socket = null; #revision = null; #tries = 0; #timer = null; #watch = null; #isOver = false;
  #heardMs = 0; // by the wall's clock
  #refused = ""; // why we are not let in

  /** `on`: hello(isResumed), event(event), anew(), state(word, why it is refused), over(). */
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

  /** Look whether the line is older than its timer says: timers stand still while a machine sleeps. */
  look() { if (this.#socket && Date.now() - this.#heardMs > SILENT_MS) this.#giveUp(); }

  async #connect() {
    if (this.#isOver) return;
    this.#standing(this.#revision === null ? "connecting" : "reconnecting");
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
    let isIn = false;
    socket.addEventListener("message", (message) => {
      isIn = true;
      this.#take(JSON.parse(message.data));
    });
    socket.addEventListener("close", (gone) => {
      clearTimeout(this.#watch);
      if (this.#socket !== socket || this.#isOver) return;
      if (gone.code === SIGNED_OUT) return this.#end();
      this.#socket = null;
      this.#again();
      if (!isIn) this.#ask();
    });
  }

  // A socket does not tell why it was refused: the same asked plainly does.
  async #ask() {
    let why = "";
    try {
      await this.#session.get("/v1/events");
    } catch (error) {
      if (error instanceof Refused && error.status === 401) return this.#end();
      if (error instanceof Refused && error.status !== NOT_A_SOCKET) why = error.message;
    }
    if (this.#isOver || !this.#tries) return; // let in meanwhile
    this.#refused = why;
    this.#standing("reconnecting");
  }

  #standing(word) { this.#on.state(this.#refused ? "refused" : word, this.#refused); }

  // A line that is dead says nothing, not even that it is: after so long it is given up.
  #hear() {
    clearTimeout(this.#watch);
    this.#heardMs = Date.now();
    this.#watch = setTimeout(() => this.#giveUp(), SILENT_MS);
  }

  #giveUp() {
    clearTimeout(this.#watch);
    const dead = this.#socket;
    this.#socket = null;
    dead?.close();
    this.#again();
  }

  #take(told) {
    this.#hear();
    this.#revision = told.revision;
    this.#tries = 0;
    this.#refused = "";
    if (told.type === "hello") {
      this.#on.state(told.is_current === false ? "stale" : "live");
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
    this.#standing("reconnecting");
    // Not all at once: a control plane that comes back has many to welcome.
    const wait = Math.min(LAST_MS, FIRST_MS * 2 ** this.#tries) * (0.5 + Math.random() / 2);
    this.#tries += 1;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), wait);
  }

  #end() {
    if (this.#isOver) return;
    this.close();
    this.#on.over();
  }
}
