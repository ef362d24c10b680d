// A short or labelled row of numbers as bars, one line each.

import { html, nothing, render } from "./vendor/lit-html.js";
import { aligned, full } from "./numbers.js";

const LISTED = 64; // lines before one has to ask for the rest

/**
 * @typedef {import("./answers.js").ValueRow} Value
 *
 * @typedef {object} Bar
 * @property {number} place along the value's last axis
 * @property {string} label
 * @property {number} number
 */

/** Return whether a sheet is better read as bars. @param {import("./answers.js").SheetAnswer} sheet @param {boolean} labelled */
export function suits(sheet, labelled) {
  const row = sheet.maps === 1 && sheet.rows === 1 && sheet.columns > 0;
  const features = sheet.plane === 0 || ["feature", "channel"].includes(sheet.axes.at(-1) ?? "");
  return row && features && (labelled || sheet.columns <= LISTED);
}

export class Bars {
  #all = false;
  #shown = "";

  /**
   * @param {HTMLElement} el
   * @param {{ open: (value: Value, place: number, follow: boolean) => void }} actions
   */
  constructor(el, actions) {
    this.el = el;
    this.actions = actions;
    el.addEventListener("keydown", this.#key);
  }

  /**
   * @param {Value} value
   * @param {Float32Array | Float64Array} numbers
   * @param {string[] | null} labels
   * @param {number | null} opened
   */
  show(value, numbers, labels, opened) {
    const { name } = value;
    if (name !== this.#shown) this.#all = false;
    this.#shown = name;
    /** @type {Bar[]} */
    let bars = Array.from(numbers, (number, place) => ({ place, label: labels?.[place] ?? String(place), number }));
    const most = Math.max(1e-300, ...bars.map((bar) => (Number.isFinite(bar.number) ? Math.abs(bar.number) : 0)));
    const signed = bars.some((bar) => bar.number < 0);
    const write = aligned(most);
    const ranked = bars.length > 20 && labels !== null;
    if (ranked) bars.sort((a, b) => b.number - a.number);
    const cut = !this.#all && bars.length > LISTED;
    if (cut) bars = bars.slice(0, 40).concat(bars.slice(40).filter((bar) => bar.place === opened));
    const current = opened ?? bars[0]?.place;
    const more = () => { this.#all = true; this.show(value, numbers, labels, opened); };
    render(html`
      <div class="list" role="list" aria-label="${name}, ${numbers.length} numbers">
        ${bars.map((bar) => this.#line(value, bar, most, signed, write, bar.place === opened, bar.place === current))}
      </div>
      ${cut ? html`<button type="button" class="more" @click=${more}>all ${numbers.length}</button>` : nothing}
    `, this.el);
  }

  /** @param {Value} value @param {Bar} bar @param {number} most @param {boolean} signed @param {(x: number) => string} write @param {boolean} opened @param {boolean} current */
  #line(value, bar, most, signed, write, opened, current) {
    const { dtype } = value;
    const size = Number.isFinite(bar.number) ? Math.abs(bar.number) / most : 0;
    return html`<div role="listitem"><button type="button" class="bar ${opened ? "opened" : ""}"
        data-place=${bar.place} data-number=${full(bar.number, dtype)} tabindex=${current ? 0 : -1}
        aria-label="${bar.label}: ${full(bar.number, dtype)}" title=${full(bar.number, dtype)}
        @click=${(/** @type {MouseEvent} */ e) => this.actions.open(value, bar.place, e.detail === 0)}>
      <span class="label">${bar.label}</span>
      <svg viewBox="${signed ? -100 : 0} 0 ${signed ? 200 : 100} 10" preserveAspectRatio="none" aria-hidden="true">
        <line x1="0" x2="0" y1="0" y2="10" class="zero"></line>
        <rect class=${bar.number < 0 ? "minus" : "plus"} y="1" height="8"
          x=${bar.number < 0 ? -100 * size : 0} width=${100 * size}></rect>
      </svg>
      <span class="number">${write(bar.number)}</span>
    </button></div>`;
  }

  focus() {
    /** @type {HTMLElement | null} */ (this.el.querySelector('[tabindex="0"]'))?.focus();
  }

  #key = (/** @type {KeyboardEvent} */ event) => {
    const lines = /** @type {HTMLElement[]} */ ([...this.el.querySelectorAll(".bar")]);
    const at = lines.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: lines.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    lines[Math.max(0, Math.min(lines.length - 1, to))].focus();
  };
}
