// Go to a step or a number by its name, its kind or its shape.

import { html, nothing, render } from "./vendor/lit-html.js";
import { Part } from "./part.js";

/** @typedef {{ name: string, index: number[] | null, says: string, rank: number }} Found */

const LISTED = 12;

export class Find extends Part {
  #chosen = 0;
  #id = `found${Math.random()}`.replace(".", ""); // a notebook may have several stages

  draw(text = "", open = false) {
    const found = open ? this.#matches(text) : [];
    this.#chosen = Math.max(0, Math.min(this.#chosen, found.length - 1));
    render(html`<input type="search" placeholder="Go to …  Ctrl K" role="combobox" aria-label="Go to a step or a number" aria-expanded=${open} aria-controls=${this.#id} autocomplete="off" spellcheck="false"
        aria-activedescendant=${found.length ? `${this.#id}-chosen` : nothing} .value=${text} @input=${({ target }) => { this.#chosen = 0; this.draw(target.value, true); }}
        @focus=${() => this.draw(text, true)} @blur=${() => this.draw()} @keydown=${(event) => this.#key(event, text, found)}>
      <ul id=${this.#id} role="listbox" aria-label="Found" ?hidden=${!open}>${found.map((each, i) => html`<li role="option" id=${i === this.#chosen ? `${this.#id}-chosen` : nothing} aria-selected=${i === this.#chosen}
        @pointerdown=${(event) => { event.preventDefault(); this.#go(each); }}><b>${each.name}${each.index ? `[${each.index}]` : ""}</b> <span class="soft">${each.says}</span></li>`)}
        ${open && !found.length ? html`<li class="soft" role="option" aria-selected="false" aria-disabled="true">Nothing has this name, kind or shape.</li>` : nothing}</ul>`, this.el);
  }

  /** The values of a name, a kind or a shape, the nearest first. @param {string} text */
  #matches(text) {
    const { net } = this, [, name, at] = /^(.*?)\s*(?:\[([\d, ]*)\]?)?$/.exec(text.trim().toLowerCase()) ?? ["", text, ""];
    const wanted = name.split(/\s+/).filter(Boolean), index = at ? at.split(",").map(Number) : null;
    const rows = [...net.values].flatMap(([id, { name: own, kind, shape }]) => {
      const step = net.maker(id), low = own.toLowerCase(), size = net.shape(id);
      const words = `${own} ${step?.op ?? ""} ${step?.type ?? ""} ${kind} ${size} ${shape.join("x")}`.toLowerCase();
      if ((!step && kind !== "input" && !wanted.length) || !wanted.every((word) => words.includes(word))) return [];
      const fits = index?.length === shape.length && index.every((i, axis) => i < shape[axis]);
      return [{ name: own, says: `${step ? step.type || step.op : kind}  ${size}`, index: fits ? index : null, rank: low === name ? 0 : low.startsWith(wanted[0] ?? "") ? 1 : 2 }];
    });
    return rows.sort((a, b) => a.rank - b.rank).slice(0, LISTED);
  }

  /** @param {KeyboardEvent} event @param {string} text @param {Found[]} found */
  #key(event, text, found) {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (event.key === "Enter" && found.length) return this.#go(found[this.#chosen]);
    if (event.key === "Escape") return this.#leave();
    if (!by) return;
    event.preventDefault();
    this.#chosen += by;
    this.draw(text, true);
  }

  /** @param {Found} found */
  #go({ name, index }) {
    this.#leave();
    this.stage.go({ at: name, ...(index ? { index } : {}) });
  }

  #leave() {
    this.draw();
    this.el.querySelector("input")?.blur();
  }

  focus() {
    this.el.querySelector("input")?.focus();
  }
}
