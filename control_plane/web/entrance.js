// Who comes in, and how they go: signing in by password or by the tenant's provider, and out again.
// The parts of the page that it speaks of stand in frame.html.

import { byId } from "/docs/elements.js";
import { goAlong, taken } from "/wallboard/along.js";
import { isBack, leaveFor } from "/wallboard/oidc.js";
import { Refused, Session } from "/wallboard/session.js";

export const ENDED = "Your session has ended: sign in again.";

export class Entrance {
  #part;
  #begin;
  #end;
  #isTrying = false;

  /** `part`: what only they see who are signed in; `begin` shows it, `end` leaves nothing of it. */
  constructor(part, begin, end) {
    this.session = new Session();
    this.#part = byId(part);
    this.#begin = begin;
    this.#end = end;
    const form = byId("sign-in");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#try(async () => {
        await this.session.signIn(Object.fromEntries(new FormData(form)));
        form.elements.password.value = "";
        await this.#enter();
      });
    });
    byId("by-provider").addEventListener("click", () => this.#try(() => leaveFor(this.session, form.elements.tenant.value, location.origin + location.pathname)));
    byId("sign-out").addEventListener("click", async () => {
      this.#close("");
      await this.session.signOut();
    });
    goAlong(this.session, document.querySelectorAll("footer a.page"), () => this.leave(""));
  }

  /** Let in whoever comes from another of our pages, or back from their provider. */
  open() {
    this.#try(async () => {
      this.session.takeOver(taken());
      if (await isBack(this.session) || this.session.isOpen) await this.#enter();
    });
  }

  /** Show the door, and why. */
  leave(why) {
    this.#close(why);
    this.session.forget();
  }

  async #enter() {
    const me = await this.session.get("/v1/me");
    byId("tenant").textContent = this.session.tenant;
    byId("who").textContent = me.roles.map((each) => each.replace("role:", "").replace("_", " ")).join(", ") || "no role";
    const isHeld = byId("sign-in").contains(document.activeElement);
    byId("sign-in").hidden = true;
    byId("signed-in").hidden = this.#part.hidden = false;
    if (isHeld) byId("title").focus(); // what had the focus is away, and with it the place of who uses no mouse
    this.#begin();
  }

  #close(why) {
    byId("sign-in").hidden = false;
    byId("signed-in").hidden = this.#part.hidden = true;
    byId("tenant").textContent = byId("who").textContent = "";
    byId("refused").textContent = why;
    this.#end();
    if (!byId("sign-in").contains(document.activeElement)) byId("sign-in-title").focus();
  }

  // Once at a time: of somebody who was let in twice only the last stream and session would be known.
  async #try(how) {
    if (this.#isTrying) return;
    this.#isTrying = true;
    byId("refused").textContent = "";
    try {
      await how();
    } catch (error) {
      this.leave(inWords(error));
    } finally {
      this.#isTrying = false;
    }
  }
}

/** Return what to tell of a failure. */
export function inWords(error) {
  return error instanceof Refused ? error.message : `The control plane cannot be reached: ${error.message}`;
}
