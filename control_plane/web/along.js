// Going from one of these pages to the next without signing in again. The session lies in the tab's own
// storage from the click until the next page has taken it: never longer, and nowhere else.

const KEPT = "everline.along";
const FOR_MS = 10_000;

/** Give the session to the page behind `links` when one of them is followed; then `gone` is called here. */
export function goAlong(session, links, gone) {
  let isGiven = false;
  for (const link of links) {
    link.addEventListener("click", (event) => {
      const isElsewhere = event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
      if (isElsewhere || !session.isOpen) return;
      sessionStorage.setItem(KEPT, JSON.stringify({ tokens: session.tokens, until: Date.now() + FOR_MS }));
      isGiven = true;
      // Where no page comes, nothing of it may stay.
      setTimeout(() => { sessionStorage.removeItem(KEPT); isGiven = false; }, FOR_MS);
    });
  }
  // A refresh token is good once: of two pages that have it the later one would end the session for both.
  window.addEventListener("pagehide", () => { if (isGiven) gone(); });
}

/** Return what the page before has given, once; null: nothing, or too long ago. */
export function taken() {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  sessionStorage.removeItem(KEPT);
  return kept && kept.until > Date.now() ? kept.tokens : null;
}
