// The network's answer as a list: scores, detections or segments, each leading to its numbers.

import { html, nothing, render } from "./vendor/lit-html.js";
import { NO_NETWORK } from "./answers.js";
import { full } from "./numbers.js";
import { START } from "./state.js";
import { stations } from "./walk.js";

/**
 * @typedef {import("./answers.js").Detection} Detection
 * @typedef {import("./answers.js").DetectionList} DetectionList
 * @typedef {import("./answers.js").NetworkAnswer} NetworkAnswer
 * @typedef {import("./answers.js").SegmentList} SegmentList
 * @typedef {import("./answers.js").WalkAnswer} Walk
 * @typedef {import("./state.js").State} State
 *
 * @typedef {object} Pointed what the pointer is on
 * @property {number | null} detection
 * @property {number | null} station
 * @property {number | null} label a class of the segments
 */

/** @type {Pointed} */
export const NOTHING = { detection: null, station: null, label: null };

/** Return the detections to show: sure enough, or opened. @param {DetectionList} detections @param {State} state */
export function seen(detections, state) {
  return detections.best.filter((d) => d.score >= state.least / 100 || d.number === state.detection);
}

export class Answer {
  #network = NO_NETWORK;
  #state = START;
  /** @type {Walk | null} */ #walk = null;
  /** @type {Pointed} */ #pointed = NOTHING;
  #failure = "";

  /**
   * @param {HTMLElement} el
   * @param {object} actions
   * @param {(index: number[]) => void} actions.number
   * @param {(number: number) => void} actions.detection
   * @param {(k: number) => void} actions.station
   * @param {(change: Partial<State>) => void} actions.change
   * @param {(pointed: Partial<Pointed>) => void} actions.point
   */
  constructor(el, actions) {
    this.el = el;
    this.actions = actions;
    el.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {NetworkAnswer} network @param {State} state @param {Walk | null} walk @param {string} [failure] why there is no walk */
  show(network, state, walk, failure = "") {
    const other = state.detection !== this.#state.detection || state.station !== this.#state.station || walk !== this.#walk;
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
    if (this.#network.recording) this.#draw();
  }

  focus() {
    /** @type {HTMLElement | null} */ (this.el.querySelector('.stop[tabindex="0"]'))?.focus();
  }

  #draw() {
    const { detections, segments } = this.#network;
    render(detections ? this.#detections(detections) : segments ? this.#segments(segments) : this.#scores(), this.el);
    // Tab reaches one of the many buttons, arrows the rest.
    const on = this.el.querySelector(".station.on") ?? this.el.querySelector(".detection.on");
    const stops = this.#stops();
    for (const stop of stops) stop.tabIndex = stop === (on ?? stops[0]) ? 0 : -1;
  }

  #scores() {
    const { scores, doubts } = this.#network;
    if (!scores.length && !doubts.length) return nothing;
    return html`<section class="scores" aria-label="Best classes">
      <h3>Answer</h3>
      ${this.#doubts()}
      ${scores.slice(0, 3).map((s) => html`<button type="button" class="stop" title="${full(s.score, "float32")}: follow this number"
          @click=${() => this.actions.number(s.index)}>
        <span class="label">${s.label}</span>
        ${s.share === null ? nothing : html`<meter min="0" max="1" .value=${s.share} aria-hidden="true"></meter>`}
        <span class="number">${s.text}</span>
      </button>`)}
    </section>`;
  }

  /** Write what the reader must know of the answer. */
  #doubts() {
    return this.#network.doubts.map((sentence) => html`<p class="none doubt">${sentence}</p>`);
  }

  // Detections

  /** @param {DetectionList} detections */
  #detections(detections) {
    const { best, count } = detections;
    const state = this.#state;
    const shown = seen(detections, state);
    const hidden = best.length - shown.length;
    return html`<section class="scores detections" aria-label="Detections">
      <header><h3>Found <small>${shown.length === count ? shown.length : `${shown.length} of ${count}`}</small></h3>
        ${count ? html`<label class="slider">score from <output>${state.least} %</output>
          <input type="range" min="0" max="100" aria-label="Least score" .value=${String(state.least)}
            @input=${(/** @type {{ target: HTMLInputElement }} */ e) => this.actions.change({ least: Number(e.target.value) })}></label>` : nothing}
      </header>
      ${this.#doubts()}
      ${count ? nothing : html`<p class="none">Nothing was found: no box scored above the network's own threshold.</p>`}
      ${!shown.length && hidden ? html`<p class="none">Nothing was found with a score of ${state.least} % or more.
        <button type="button" class="stop link" @click=${() => this.actions.change({ least: 0 })}>Show all ${hidden}</button></p>` : nothing}
      <div class="list">${shown.map((each) => this.#detection(each, state))}</div>
    </section>`;
  }

  /** @param {Detection} each @param {State} state */
  #detection(each, state) {
    const { number, label, score } = each;
    const on = number === state.detection;
    const point = (/** @type {number | null} */ at) => this.actions.point({ detection: at });
    return html`<button type="button" class="stop detection ${on ? "on" : ""} ${number === this.#pointed.detection ? "hot" : ""}"
        data-detection=${number} aria-expanded=${on} title="${full(score, "float32")}: walk this detection back"
        @click=${() => this.actions.detection(number)}
        @pointermove=${() => point(number)} @pointerleave=${() => point(null)}>
      ${swatch(each.colour)}<span class="label">${label}</span>
      <meter min="0" max="1" .value=${score || 0} aria-hidden="true"></meter>
      <span class="number">${each.text}</span>
    </button>
    ${on && (this.#network.detections?.walks || this.#failure) ? stations(this.#walk, state.station, this.#failure, {
      station: (k) => this.actions.station(k),
      point: (k) => this.actions.point({ station: k }),
    }) : nothing}`;
  }

  // Segments

  /** @param {SegmentList} segments */
  #segments(segments) {
    const { tint } = this.#state;
    const point = (/** @type {number | null} */ label) => this.actions.point({ label });
    return html`<section class="scores segmented" aria-label="Segments">
      <header><h3 title="${segments.classes.length} of ${segments.count} classes">Segments <small>${segments.classes.length} of ${segments.count}</small></h3>
        <label class="slider">opacity <output>${tint} %</output>
          <input type="range" min="0" max="100" step="5" aria-label="Opacity" .value=${String(tint)}
            @input=${(/** @type {{ target: HTMLInputElement }} */ e) => this.actions.change({ tint: Number(e.target.value) })}></label>
      </header>
      ${this.#doubts()}
      <div class="list">${segments.classes.map((each) => html`<button type="button"
          class="stop ${each.label === this.#pointed.label ? "hot" : ""}" data-label=${each.label}
          title="Where its score is the largest: follow this number"
          @click=${() => this.actions.number(each.index)}
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

  /** Go from line to line with arrows, and open a station on reaching it. @param {KeyboardEvent} event */
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
