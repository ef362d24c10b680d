// A row of numbers as named bars, with the manners of a map of cells; the largest where they are many.

import { html, nothing, render } from "../vendor/lit-html.js";
import { largest } from "../colours.js";
import { tight } from "../numbers.js";

const LISTED = 16; // bars of a row that has more

export class Bars {
  #listed = "";
  #draw = () => {};
  /** @type {Set<number>} */ #lit = new Set();

  /** @param {string} label @param {Doing} does */
  constructor(label, does) {
    this.el = Object.assign(document.createElement("div"), { className: "bars", role: "list", ariaLabel: label });
    this.does = does;
  }

  /** @param {Seat} seat @param {Net} net @param {number} width */
  show({ numbers, value }, net, width) {
    this.el.style.width = `${width}px`;
    const most = largest(numbers) || 1;
    const both = numbers.some((x) => x < 0);
    const order = Array.from(numbers.keys());
    if (numbers.length > LISTED) order.sort((a, b) => numbers[b] - numbers[a]);
    this.#listed = "";
    this.#draw = () => {
      const shown = order.slice(0, LISTED);
      shown.push(...[...this.#lit].filter((i) => !shown.includes(i)).slice(0, 1));
      const rest = numbers.length - shown.length;
      render(html`${shown.map((i) => html`<div role="listitem" class="barrow ${this.#lit.has(i) ? "lit" : ""}" data-at=${i} @pointerenter=${() => this.does.over([i])} @pointerleave=${() => this.does.leave?.()}
          @click=${() => this.does.press?.([i])}><b>${(value !== null && net.category(value, i)) || i}</b><span class="track ${both ? "both" : ""}">
          <i class=${numbers[i] < 0 ? "negative" : "positive"} .style=${`width:${((both ? 50 : 100) * Math.abs(numbers[i])) / most}%`}></i></span><span class="n">${tight(numbers[i])}</span></div>`)}
        ${rest ? html`<div role="listitem" class="soft">${rest} others</div>` : nothing}`, this.el);
    };
    this.#draw();
  }

  /** @param {Light} lit */
  light({ cells = [] }) {
    const key = String(cells);
    if (key === this.#listed) return;
    this.#listed = key;
    this.#lit = new Set(cells.map(([i]) => i));
    this.#draw();
  }
}
