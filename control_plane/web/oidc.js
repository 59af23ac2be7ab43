// Signing in by the tenant's identity provider: there, and back with a code (PKCE). The verifier never
// comes here: the control plane keeps it, and this page the word that says it was this page that asked.

import { Refused } from "/wallboard/session.js";

const KEPT = "everline.sign-in"; // for as long as the browser is away; it is gone once it is back

/** Leave for the provider. Raise Refused where the tenant has none. */
export async function leaveFor(session, tenant, page) {
  const begun = await session.begin({ tenant, redirect_uri: page });
  sessionStorage.setItem(KEPT, JSON.stringify({ state: begun.state, holder: begun.holder }));
  location.assign(begun.authorization_url);
}

/** Sign in with what the provider has sent back; false: the browser does not come from one. */
export async function isBack(session) {
  const said = new URLSearchParams(location.search);
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  sessionStorage.removeItem(KEPT);
  if (!said.has("state")) return false;
  // The code is good once; neither a reload nor the history shall have it.
  history.replaceState(null, "", location.pathname);
  if (!kept || kept.state !== said.get("state")) throw new Refused(0, { title: "This sign-in was not begun here: begin again" });
  if (!said.has("code")) throw new Refused(0, { title: `The identity provider refused: ${said.get("error") ?? "no reason given"}` });
  await session.complete({ ...kept, code: said.get("code"), ...(said.has("iss") ? { iss: said.get("iss") } : {}) });
  return true;
}
