// A tour of one minute through whatever is open, the keys, and the words.

import { html, nothing, render } from "./vendor/lit-html.js";
import { KEYS } from "./keys.js";
import { plural } from "./numbers.js";
import { GLOSSARY } from "./words.js";
import { Part } from "./part.js";

/** Where each stop is, what is said there, and how to come there. @type {[string, string | ((net: Net) => string), ((stage: Stage) => unknown)?][]} */
const STOPS = [
  [".strip", ({ told }) => `${told.name} ran on ${told.picture_name || "its input"}: ${plural(told.steps.length, "step")} from left to right, each shown by a picture of its numbers. Blue is positive, orange negative.`],
  [".body", "One step, close up. On the left is what comes in, on the right what goes out, between them what is done. Move the pointer over either side: the window follows.", (stage) => stage.go(stage.doorway())],
  [".line", "The same number, written out. Every product is an input times a weight, and they add up to the number on the right."],
  [".player", "Press play, and the window slides over the whole map, place by place."],
  [".acts .segments", "“Made of” asks where a number comes from. “Feeds” turns round: what becomes of a number of the input?"],
  [".distances", "Four distances: the whole network, one step with all its maps, one window, one number. Each is also a key: 1, 2, 3, 4."],
  [".body", "One number: what it is made of, and what it feeds, the strongest part first. Every line opens again, down to the pixels.", (stage) => stage.go({ near: "number" })],
  [".middle", "What if? Drag a weight up or down. The network is computed again from there on, and the difference shows everywhere. Undo takes it back.", (stage) => stage.go(stage.doorway())],
];

export class Tour extends Part {
  #at = -1;

  begin() {
    return this.#to(this.#at < 0 ? 0 : -1);
  }

  /** @param {number} at */
  async #to(at) {
    this.#at = at < STOPS.length ? at : -1;
    const [, , go] = STOPS[this.#at] ?? [];
    await go?.(this.stage);
    this.draw();
    this.el.querySelector("button")?.focus({ preventScroll: true });
  }

  draw() {
    const { el, stage } = this, stop = STOPS[this.#at], next = this.#at + 1;
    for (const lit of stage.el.querySelectorAll(".toured")) lit.classList.remove("toured");
    el.hidden = !stop;
    if (!stop) return;
    const [where, says] = stop, button = (/** @type {string} */ text, /** @type {() => void} */ act, name = "") => html`<button class=${name} @click=${act}>${text}</button>`;
    stage.el.querySelector(where)?.classList.add("toured");
    render(html`<p role="status">${typeof says === "string" ? says : says(this.net)}</p><div class="choices">
      ${button(next === STOPS.length ? "Done" : "Next", () => this.#to(next), "strong")}${this.#at ? button("Back", () => this.#to(this.#at - 1)) : nothing}
      ${button("Keys and words", () => this.#keys())}${button("End the tour", () => this.#to(-1))}<span class="soft">${next} of ${STOPS.length}</span></div>`, el);
  }

  #keys() {
    const dialog = /** @type {HTMLDialogElement} */ (this.stage.at("dialog"));
    const list = (/** @type {string} */ title, /** @type {[unknown, string][]} */ rows) => html`<h2>${title}</h2><dl class="keys">${rows.map(([name, says]) => html`<div><dt>${name}</dt><dd>${says}</dd></div>`)}</dl>`;
    dialog.ariaLabel = "Keys and words";
    render(html`${list("Keys", KEYS.flatMap(([, shown, does]) => (shown ? [[html`<kbd>${shown}</kbd>`, does]] : [])))}${list("Words", GLOSSARY)}
      <div class="choices"><button class="strong" @click=${() => dialog.close()}>Close</button></div>`, dialog);
    dialog.showModal();
  }
}
