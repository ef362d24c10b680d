// A file as a host: the page with the answers that the file holds, without a server.

import { Host } from "./host.js";
import { render } from "./stage.js";

/** @typedef {{ place: string, command: string, answers: Record<string, string> }} Held what the file holds; the answers are envelopes in base64 */

/** Return what a question is held under: its name, and its parameters in the order of their names. @param {string} question @param {Record<string, unknown>} asked */
function key(question, asked) {
  const given = Object.entries(asked).filter(([, part]) => part !== undefined && part !== null);
  return `${question}?${given.map(([name, part]) => `${name}=${part}`).sort().join("&")}`;
}

const el = document.getElementById("stage");
const text = document.getElementById("held")?.textContent;
if (el && text) {
  /** @type {Held} */
  const { place, command, answers } = JSON.parse(text);
  const host = new Host(async (question, asked) => {
    const found = answers[key(question, asked)];
    if (found === undefined) throw new Error(`this is not in the file; open it with: ${command}`);
    return Uint8Array.from(atob(found), (character) => character.charCodeAt(0)).buffer;
  }, place);
  render({ model: host, el });
}
