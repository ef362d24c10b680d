// A tour of one minute through whatever is open, the keys, and the words.

import { html, nothing, render } from "./vendor/lit-html.js";
import { KEYS } from "./keys.js";
import { plural } from "./numbers.js";
import { GLOSSARY } from "./words.js";

/**
 * @typedef {import("./stage.js").Stage} Stage
 * @typedef {{ at: string, says: (stage: Stage) => string, go?: (stage: Stage) => unknown }} Stop
 */

/** @type {Stop[]} */
const STOPS = [
  { at: ".strip", says: ({ net: { told } }) => `${told.name} ran on ${told.picture_name || "its input"}: ${plural(told.steps.length, "step")} from left to right, each shown by a picture of its numbers. Blue is positive, orange negative.` },
  { at: ".body", go: (stage) => stage.go(stage.doorway()), says: () => "One step, close up. On the left is what comes in, on the right what goes out, between them what is done. Move the pointer over either side: the window follows." },
  { at: ".line", says: () => "The same number, written out. Every product is an input times a weight, and they add up to the number on the right." },
  { at: ".player", says: () => "Press play, and the window slides over the whole map, place by place." },
  { at: ".acts .segments", says: () => "“Made of” asks where a number comes from. “Feeds” turns round: what becomes of a number of the input?" },
  { at: ".distances", says: () => "Four distances: the whole network, one step with all its maps, one window, one number. Each is also a key: 1, 2, 3, 4." },
  { at: ".body", go: (stage) => stage.go({ near: "number" }), says: () => "One number: what it is made of, and what it feeds, the strongest part first. Every line opens again, down to the pixels." },
  { at: ".middle", go: (stage) => stage.go(stage.doorway()), says: () => "What if? Drag a weight up or down. The network is computed again from there on, and the difference shows everywhere. Undo takes it back." },
];

export class Tour {
  #at = -1;

  /** @param {Stage} stage */
  constructor(stage) {
    this.stage = stage;
    this.el = stage.at("tour");
  }

  async begin() {
    await this.#to(this.#at < 0 ? 0 : -1);
  }

  /** @param {number} at */
  async #to(at) {
    this.#at = at < STOPS.length ? at : -1;
    const stop = STOPS[this.#at];
    await stop?.go?.(this.stage);
    this.draw();
    this.el.querySelector("button")?.focus({ preventScroll: true });
  }

  draw() {
    const { el, stage } = this;
    for (const lit of stage.el.querySelectorAll(".toured")) lit.classList.remove("toured");
    const stop = STOPS[this.#at];
    el.hidden = !stop;
    if (!stop) return;
    stage.el.querySelector(stop.at)?.classList.add("toured");
    const last = this.#at === STOPS.length - 1;
    render(html`<p role="status">${stop.says(stage)}</p><div class="choices">
      <button type="button" class="strong" @click=${() => this.#to(this.#at + 1)}>${last ? "Done" : "Next"}</button>
      ${this.#at ? html`<button type="button" @click=${() => this.#to(this.#at - 1)}>Back</button>` : nothing}
      <button type="button" @click=${() => this.#keys()}>Keys and words</button>
      <button type="button" @click=${() => this.#to(-1)}>End the tour</button>
      <span class="soft">${this.#at + 1} of ${STOPS.length}</span></div>`, el);
  }

  #keys() {
    const dialog = /** @type {HTMLDialogElement} */ (this.stage.at("dialog"));
    dialog.setAttribute("aria-labelledby", "keys");
    render(html`<h2 id="keys">Keys</h2><dl class="keys">${KEYS.filter((key) => key.shown).map((key) => html`<div><dt><kbd>${key.shown}</kbd></dt><dd>${key.does}</dd></div>`)}</dl>
      <h2>Words</h2><dl class="keys words">${GLOSSARY.map(([word, says]) => html`<div><dt>${word}</dt><dd>${says}</dd></div>`)}</dl>
      <div class="choices"><button type="button" class="strong" @click=${() => dialog.close()}>Close</button></div>`, dialog);
    dialog.showModal();
  }
}
