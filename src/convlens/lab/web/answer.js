// What the network answered: scores, detections or segments, each leading to its numbers.

import { html, nothing, render } from "./vendor/lit-html.js";
import { full } from "./numbers.js";
import { stations } from "./walk.js";

/**
 * @typedef {import("./state.js").State} State
 * @typedef {import("./questions.js").Walk} Walk
 * @typedef {{ index: number[], label: string, score: number | string, told: string, share: number | null }} Score
 *
 * @typedef {object} Detection
 * @property {number} number its place in the network's answer
 * @property {string} label
 * @property {number | string} score
 * @property {string} told the score as it is told
 * @property {(number | string)[]} box x1, y1, x2, y2 in pixels of the picture
 * @property {[number, number, number]} colour
 * @property {[number | string, number | string, boolean][]} [points] x, y, and whether it is sure
 *
 * @typedef {object} SegmentClass
 * @property {number} label
 * @property {string} name
 * @property {number} share of the picture, 0 to 1
 * @property {[number, number, number]} colour
 * @property {boolean} background
 * @property {number[]} index where it won with its largest score
 *
 * @typedef {object} Pointed what the pointer is on
 * @property {number | null} detection
 * @property {number | null} station
 * @property {number | null} label a class of the segments
 */

/** @type {Pointed} */
export const NOTHING = { detection: null, station: null, label: null };

/** The detections seen: sure enough, or opened. @param {any} found @param {State} state @returns {Detection[]} */
export function seen(found, state) {
  return (found?.detections ?? []).filter((/** @type {Detection} */ d) =>
    Number(d.score) >= state.least / 100 || d.number === state.found);
}

export class Answer {
  /** @type {any} */ #network = null;
  /** @type {State | null} */ #state = null;
  /** @type {Walk | null} */ #walk = null;
  /** @type {Pointed} */ #pointed = NOTHING;
  #failure = "";

  /**
   * @param {HTMLElement} el
   * @param {object} actions
   * @param {(score: Score) => void} actions.score
   * @param {(number: number) => void} actions.detection
   * @param {(k: number) => void} actions.station
   * @param {(index: number[]) => void} actions.pixel
   * @param {(change: Partial<State>) => void} actions.change
   * @param {(pointed: Partial<Pointed>) => void} actions.point
   */
  constructor(el, actions) {
    this.el = el;
    this.actions = actions;
    el.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {any} network @param {State} state @param {Walk | null} walk @param {string} [failure] why there is none */
  show(network, state, walk, failure = "") {
    const other = state.found !== this.#state?.found || state.station !== this.#state?.station || walk !== this.#walk;
    [this.#network, this.#state, this.#walk, this.#failure] = [network, state, walk, failure];
    const had = this.el.contains(document.activeElement);
    this.#draw();
    const on = this.el.querySelector(".station.on") ?? this.el.querySelector(".detection.on");
    if (other) on?.scrollIntoView({ block: "nearest" });
    if (had && (other || !this.el.contains(document.activeElement))) this.focus();
  }

  /** @param {Pointed} pointed */
  point(pointed) {
    this.#pointed = pointed;
    if (this.#network) this.#draw();
  }

  focus() {
    /** @type {HTMLElement | null} */ (this.el.querySelector('.stop[tabindex="0"]'))?.focus();
  }

  #draw() {
    const { found, segments } = this.#network;
    render(found ? this.#found() : segments ? this.#segments() : this.#scores(), this.el);
    // One of the many buttons is reached with Tab, the rest with arrows.
    const on = this.el.querySelector(".station.on") ?? this.el.querySelector(".detection.on");
    const stops = this.#stops();
    for (const stop of stops) stop.tabIndex = stop === (on ?? stops[0]) ? 0 : -1;
  }

  #scores() {
    /** @type {Score[]} */
    const scores = this.#network.scores;
    if (!scores.length && !this.#network.said.length) return nothing;
    return html`<section class="scores" aria-label="Best classes">
      <h3>Answer</h3>
      ${this.#said()}
      ${scores.slice(0, 3).map((s) => html`<button type="button" class="stop" title="${full(Number(s.score), "float32")}: follow this number"
          @click=${() => this.actions.score(s)}>
        <span class="label">${s.label}</span>
        ${s.share === null ? nothing : html`<meter min="0" max="1" .value=${s.share} aria-hidden="true"></meter>`}
        <span class="number">${s.told}</span>
      </button>`)}
    </section>`;
  }

  /** What must be known of the answer. */
  #said() {
    return this.#network.said.map((/** @type {string} */ sentence) => html`<p class="none said">${sentence}</p>`);
  }

  // Detections

  #found() {
    const { found } = this.#network;
    const state = /** @type {State} */ (this.#state);
    const shown = seen(found, state);
    const hidden = found.detections.length - shown.length;
    return html`<section class="scores found" aria-label="Detections">
      <header><h3>Found <small>${shown.length === found.count ? shown.length : `${shown.length} of ${found.count}`}</small></h3>
        ${found.count ? html`<label class="slider">score from <output>${state.least} %</output>
          <input type="range" min="0" max="100" aria-label="Least score" .value=${String(state.least)}
            @input=${(/** @type {any} */ e) => this.actions.change({ least: Number(e.target.value) })}></label>` : nothing}
      </header>
      ${this.#said()}
      ${found.count ? nothing : html`<p class="none">Nothing was found: no box scored above the network's own threshold.</p>`}
      ${!shown.length && hidden ? html`<p class="none">Nothing was found with a score of ${state.least} % or more.
        <button type="button" class="stop link" @click=${() => this.actions.change({ least: 0 })}>Show all ${hidden}</button></p>` : nothing}
      <div class="list">${shown.map((each) => this.#detection(each, state))}</div>
    </section>`;
  }

  /** @param {Detection} each @param {State} state */
  #detection(each, state) {
    const { number, label, score } = each;
    const on = number === state.found;
    const point = (/** @type {number | null} */ at) => this.actions.point({ detection: at });
    return html`<button type="button" class="stop detection ${on ? "on" : ""} ${number === this.#pointed.detection ? "hot" : ""}"
        data-detection=${number} aria-expanded=${on} title="${full(Number(score), "float32")}: walk this detection back"
        @click=${() => this.actions.detection(number)}
        @pointermove=${() => point(number)} @pointerleave=${() => point(null)}>
      ${swatch(each.colour)}<span class="label">${label}</span>
      <meter min="0" max="1" .value=${Number(score) || 0} aria-hidden="true"></meter>
      <span class="number">${each.told}</span>
    </button>
    ${on && (this.#network.found.walks || this.#failure) ? stations(this.#walk, state.station, this.#failure, {
      station: (k) => this.actions.station(k),
      point: (k) => this.actions.point({ station: k }),
    }) : nothing}`;
  }

  // Segments

  #segments() {
    const { segments } = this.#network;
    const { tint } = /** @type {State} */ (this.#state);
    const point = (/** @type {number | null} */ label) => this.actions.point({ label });
    return html`<section class="scores segmented" aria-label="Segments">
      <header><h3 title="${segments.classes.length} of ${segments.count} classes">Segments <small>${segments.classes.length} of ${segments.count}</small></h3>
        <label class="slider">opacity <output>${tint} %</output>
          <input type="range" min="0" max="100" step="5" aria-label="Opacity" .value=${String(tint)}
            @input=${(/** @type {any} */ e) => this.actions.change({ tint: Number(e.target.value) })}></label>
      </header>
      ${this.#said()}
      <div class="list">${segments.classes.map((/** @type {SegmentClass} */ each) => html`<button type="button"
          class="stop ${each.label === this.#pointed.label ? "hot" : ""}" data-label=${each.label}
          title="Where its score is the largest: follow this number"
          @click=${() => this.actions.pixel(each.index)}
          @pointermove=${() => point(each.label)} @pointerleave=${() => point(null)}>
        ${swatch(each.colour)}<span class="label">${each.name}</span>
        <meter min="0" max="1" .value=${each.share} aria-hidden="true"></meter>
        <span class="number">${percent(each.share)}</span>
      </button>`)}</div>
      ${tint ? html`<p class="soft">Click a pixel of the picture to see its winning score.</p>` : nothing}
    </section>`;
  }

  // Keys

  /** @returns {HTMLElement[]} */
  #stops() {
    return [...this.el.querySelectorAll(".stop")].map((stop) => /** @type {HTMLElement} */ (stop));
  }

  /** Arrows go from line to line; a station is opened as it is reached. @param {KeyboardEvent} event */
  #key(event) {
    const stops = this.#stops();
    const at = stops.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: stops.length - 1 }[event.key];
    if (at < 0 || to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const next = stops[Math.max(0, Math.min(stops.length - 1, to))];
    next.focus();
    if (next.dataset.station !== undefined && next !== stops[at]) this.actions.station(Number(next.dataset.station));
  }
}

/** @param {[number, number, number]} colour */
function swatch([r, g, b]) {
  return html`<svg class="swatch" viewBox="0 0 10 10" aria-hidden="true"><rect width="10" height="10" rx="2"
    fill="rgb(${r},${g},${b})"></rect></svg>`;
}

/** @param {number} share */
function percent(share) {
  if (!Number.isFinite(share)) return "–";
  return share > 0 && share < 0.0005 ? "< 0.1 %" : `${(100 * share).toFixed(1)} %`;
}
