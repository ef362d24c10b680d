// The browser as a host: anywidget's model over fetch, the state in the address bar.

import { Host } from "./host.js";
import { render } from "./stage.js";

const TOKEN = "convlens-token";

/** Take the token from the fragment, where it comes once, and keep it out of sight from then on. */
function takeToken() {
  const found = /^#token=([\w-]+)(?:&(.*))?$/.exec(location.hash);
  if (found) history.replaceState(null, "", found[2] ? `#${found[2]}` : location.pathname);
  try {
    if (found) sessionStorage.setItem(TOKEN, found[1]);
    return sessionStorage.getItem(TOKEN) ?? "";
  } catch { // storage is switched off: the token lives as long as the page
    return found?.[1] ?? "";
  }
}

const token = takeToken();

/** Ask one question over HTTP. @type {Answer} */
const answer = async (question, asked, [body]) => {
  const given = Object.entries(asked).filter(([, part]) => part !== undefined).map(([name, part]) => [name, String(part)]), headers = { "x-convlens-token": token };
  const posted = { "x-convlens-name": encodeURIComponent(String(asked.name)), "x-convlens-slot": String(asked.slot) };
  const response = await (body ? fetch(`/api/${question}`, { method: "POST", headers: { ...headers, ...posted }, body }) : fetch(`/api/${question}?${new URLSearchParams(given)}`, { headers })).catch(() => {
    throw new Error("the lab does not answer; is `convlens lab` still running in the terminal?");
  });
  if (response.ok) return response.arrayBuffer();
  const json = (response.headers.get("content-type") ?? "").startsWith("application/json");
  throw new Error(json ? (await response.json()).error : `the lab answered ${response.status}`);
};

const el = document.getElementById("stage");
if (el) render({ model: new Host(answer), el });
