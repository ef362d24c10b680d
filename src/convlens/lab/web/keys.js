// The keys of the page in one table, which `?` shows and the guide repeats.

import { html, render } from "./vendor/lit-html.js";

/** @type {[string, [string, string][]][]} */
export const KEYS = [
  ["Anywhere", [
    ["1 2 3 4", "go to the outline, the maps, the numbers, the answer"],
    ["Backspace, Esc", "one number back"],
    ["s", "colour scale of the unit, the step, the network"],
    ["o", "open a picture"],
    ["?", "these keys"],
  ]],
  ["Outline", [
    ["↑ ↓", "previous, next step"],
    ["← →", "close, open a module"],
    ["Enter", "go to the step's maps"],
    ["Space", "show the step's maps, and stay"],
  ]],
  ["Maps", [
    ["arrows", "next cell, across maps"],
    ["[ ]", "previous, next channel"],
    ["Page up, down", "a line of maps"],
    ["Home, End", "first, last channel"],
    [", .", "previous, next frame"],
    ["+ − 0", "larger, smaller, fitting"],
    ["Enter", "what is this number the sum of?"],
  ]],
  ["Numbers", [
    ["arrows", "from number to number"],
    ["Enter", "go into this number, or unfold a channel"],
  ]],
  ["Answer", [
    ["↑ ↓", "previous, next line; along a walk, the previous, next station"],
    ["Enter", "walk this detection back, or follow this score"],
  ]],
];

/** @param {HTMLDialogElement} dialog */
export function showKeys(dialog) {
  render(html`<header><h2>Keys</h2>
      <button type="button" @click=${() => dialog.close()}>Close</button></header>
    <div class="keys">${KEYS.map(([title, keys]) => html`<section><h3>${title}</h3><dl>
      ${keys.map(([key, does]) => html`<div><dt><kbd>${key}</kbd></dt><dd>${does}</dd></div>`)}
    </dl></section>`)}</div>`, dialog);
  dialog.showModal();
}
