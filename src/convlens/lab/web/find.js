// Go to a step or a number by its name, its kind or its shape.

import { html, nothing, render } from "./vendor/lit-html.js";

const LISTED = 12;

export class Find {
  #chosen = 0;

  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    this.stage = stage;
    this.el = stage.at("find");
  }

  draw(text = "", open = false) {
    const found = open ? this.#matches(text) : [];
    this.#chosen = Math.max(0, Math.min(this.#chosen, found.length - 1));
    const chosen = found[this.#chosen];
    render(html`<input type="search" placeholder="Go to …  Ctrl K" role="combobox" aria-label="Go to a step or a number" aria-expanded=${open} aria-controls="found" autocomplete="off" spellcheck="false"
        aria-activedescendant=${chosen ? "found-chosen" : nothing} .value=${text} @input=${(/** @type {Event} */ e) => { this.#chosen = 0; this.draw(/** @type {HTMLInputElement} */ (e.target).value, true); }}
        @focus=${() => this.draw(text, true)} @blur=${() => this.draw()} @keydown=${(/** @type {KeyboardEvent} */ e) => this.#key(e, text, found)}>
      <ul id="found" role="listbox" aria-label="Found" ?hidden=${!open}>${found.map((each, i) => html`<li role="option" id=${i === this.#chosen ? "found-chosen" : nothing} aria-selected=${i === this.#chosen}
        @pointerdown=${(/** @type {Event} */ e) => { e.preventDefault(); this.#go(each); }}><b>${each.title}</b> <span class="soft">${each.says}</span></li>`)}
        ${open && !found.length ? html`<li class="soft" role="option" aria-selected="false" aria-disabled="true">Nothing has this name, kind or shape.</li>` : nothing}</ul>`, this.el);
  }

  /** @param {string} text */
  #matches(text) {
    const { net } = this.stage;
    const [, name, at] = /^(.*?)\s*(?:\[([\d, ]*)\]?)?$/.exec(text.trim()) ?? ["", text, ""];
    const wanted = name.toLowerCase().split(/\s+/).filter(Boolean);
    const index = at ? at.split(",").map(Number) : null;
    const rows = [];
    for (const [id, value] of net.values) {
      const step = net.maker(id);
      if (!step && value.kind !== "input" && !wanted.length) continue;
      const shape = net.shape(id);
      const says = [step ? step.type || step.op : value.kind, shape].join("  ");
      const words = `${value.name} ${step?.op ?? ""} ${step?.type ?? ""} ${value.kind} ${shape} ${value.shape.join("x")}`.toLowerCase();
      if (!wanted.every((word) => words.includes(word))) continue;
      const fits = index && index.length === value.shape.length && index.every((i, axis) => i < value.shape[axis]);
      rows.push({ id, title: value.name + (fits ? `[${index}]` : ""), says, index: fits ? index : null, rank: value.name.toLowerCase() === name.toLowerCase() ? 0 : value.name.toLowerCase().startsWith(wanted[0] ?? "") ? 1 : 2 });
    }
    return rows.sort((a, b) => a.rank - b.rank).slice(0, LISTED);
  }

  /** @param {KeyboardEvent} event @param {string} text @param {{ id: number, index: number[] | null }[]} found */
  #key(event, text, found) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") this.#chosen += event.key === "ArrowDown" ? 1 : -1;
    else if (event.key === "Enter" && found[this.#chosen]) return this.#go(found[this.#chosen]);
    else if (event.key === "Escape") return this.#leave();
    else return;
    event.preventDefault();
    this.draw(text, true);
  }

  /** @param {{ id: number, index: number[] | null }} found */
  #go({ id, index }) {
    this.#leave();
    const { name } = this.stage.net.value(id);
    this.stage.go({ at: name, ...(index ? { index } : {}) });
  }

  #leave() {
    this.draw();
    /** @type {HTMLElement} */ (this.el.querySelector("input")).blur();
  }

  focus() {
    /** @type {HTMLElement} */ (this.el.querySelector("input")).focus();
  }
}
