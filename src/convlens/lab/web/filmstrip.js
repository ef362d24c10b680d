// The walk of a detection as the frames of a filmstrip: each shows its part of the picture, its map or its number.

import { html, nothing, render } from "./vendor/lit-html.js";
import { shades, token } from "./colours.js";
import { Part } from "./part.js";
import { painted } from "./tints.js";

/** @typedef {readonly [x: number, y: number, width: number, height: number]} Place on a frame */

const SIDE = 96; // CSS pixels of a frame's picture

export class Filmstrip extends Part {
  /** @type {WalkAnswer} */ #walk = { detection: 0, stations: [], numbers: new Float32Array() };
  /** @type {number | null} */ #at = null;
  /** The station that was chosen when a finger or the mouse came down. @type {number | null} */ #before = null;

  /** The station that is chosen, once the reader has chosen one. */
  get station() {
    return this.#at === null ? undefined : this.#walk.stations[this.#at];
  }

  /** @param {() => boolean} current */
  async draw(current) {
    const { picture, questions, state } = this.stage, walked = picture.seen?.walked, wait = (/** @type {string} */ text, name = "") => render(html`<p class="soft ${name}">${text}</p>`, this.el);
    const walks = walked && this.net.told.detections?.walks;
    if (!walks) this.#at = null;
    if (!walked) return render(nothing, this.el);
    if (!walks) return wait("This network is built in a way of its own; its boxes cannot be walked back.");
    const late = setTimeout(() => wait("Walking it back to the pixels …", "fs-wait"), 250);
    const walk = await questions.once("walk", { detection: walked.number }).finally(() => clearTimeout(late));
    if (!current()) return;
    [this.#walk, this.#at] = [walk, state.station];
    this.#show();
    if (this.#at !== null) picture.paint();
  }

  #show() {
    const { narrow, stage: { picture } } = this, { stations } = this.#walk, at = Math.min(this.#at ?? 0, stations.length - 1), { text, chosen } = stations[at];
    const says = `${text[0].toUpperCase()}${text.slice(1)}.`.replace(/(^|[ (])-(?=\d)/g, "$1−");
    const said = html`<p class="fs-say" aria-live="polite">${chosen ? html`<b>${chosen.text}</b> ` : nothing}${says} <button class="fs-open" @click=${() => this.#go(stations[at])}>Open this number</button></p>`;
    render(html`<ol class="fs-row" @keydown=${(event) => this.#key(event)}>${stations.map((station, k) => html`${this.#link(station, k)}<li class="fs-frame"><button data-station=${k} tabindex=${k === at ? 0 : -1} aria-pressed=${k === at}
        @pointerenter=${({ pointerType }) => { if (pointerType === "mouse" && !narrow) this.#choose(k); }} @focus=${() => this.#choose(k)} @pointerdown=${() => { this.#before = this.#at; }} @click=${({ detail }) => (this.#before === k || !detail ? this.#go(station) : this.#choose(k))}>
        <span class="fs-name">${station.name}</span>${station.frame === "score" ? html`<span class="fs-big">${station.brief}</span>` : html`<canvas aria-hidden="true"></canvas>`}
        <span class="fs-brief">${station.frame === "score" ? "softmax" : station.brief || picture.seen?.walked?.label}</span></button>${narrow && k === at ? said : nothing}</li>`)}</ol>${narrow ? nothing : said}`, this.el);
    for (const canvas of this.el.querySelectorAll("canvas")) {
      const ratio = devicePixelRatio || 1, pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")), station = stations[Number(canvas.parentElement?.dataset.station)];
      canvas.width = canvas.height = SIDE * ratio;
      pen.scale(ratio, ratio);
      if (station.map) paintMap(pen, station.map, this.#walk.numbers);
      else if (picture.bitmap) paintCut(pen, station, picture.bitmap);
    }
  }

  /** The line to a frame: full where it is made of this one, broken where it was chosen. @param {WalkStation} station @param {number} k */
  #link({ link, chosen }, k) {
    if (!chosen && link !== "chosen") return k ? html`<li class="fs-link" aria-hidden="true"></li>` : nothing;
    return html`<li class="fs-link chosen">${chosen ? html`<button title="Open the number that chose it" @click=${() => this.#open(chosen, "number")}>chosen</button>` : html`<span>chosen</span>`}</li>`;
  }

  /** Show a frame's sentence and its place in the picture; nothing is asked. @param {number} k */
  #choose(k) {
    if (k === this.#at) return;
    this.#at = k;
    this.stage.move({ station: k });
    this.#show();
    this.stage.picture.paint();
  }

  /** @param {WalkStation} station */
  #go(station) {
    return this.#open(station, /box|pixels/.test(station.frame) ? "number" : "window");
  }

  /** @param {{ value: number, index: number[] }} number @param {Distance} near */
  #open({ value, index }, near) {
    return this.stage.go({ at: this.net.value(value).name, index, near, trail: [] });
  }

  /** Go from frame to frame with the arrows. @param {KeyboardEvent & { target: HTMLElement }} event */
  #key(event) {
    const by = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key], { station } = event.target.dataset;
    if (!by || station === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    /** @type {HTMLElement | null} */ (this.el.querySelector(`[data-station="${Number(station) + by}"]`))?.focus();
  }
}

/** Paint a part of the picture, with the station's box, and the box it was moved into. @param {CanvasRenderingContext2D} pen @param {WalkStation} station @param {ImageBitmap} bitmap */
function paintCut(pen, { box, into, cut }, bitmap) {
  const [x1, y1, x2, y2] = cut ?? [0, 0, bitmap.width, bitmap.height], side = Math.max(x2 - x1, y2 - y1);
  if (![x1, y1, x2, y2].every(Number.isFinite)) return;
  const scale = SIDE / (side + (cut ? 0.24 * Math.max(side, 4) : 0)), [left, top] = [(x1 + x2 - SIDE / scale) / 2, (y1 + y2 - SIDE / scale) / 2];
  const place = (/** @type {number[]} */ [a, b, c, d]) => /** @type {const} */ ([(a - left) * scale, (b - top) * scale, (c - a) * scale, (d - b) * scale]);
  pen.imageSmoothingEnabled = scale < 4;
  pen.drawImage(bitmap, ...place([0, 0, bitmap.width, bitmap.height]));
  if (!cut && box) { // covered outside the box
    pen.fillStyle = "rgba(0,0,0,0.45)";
    pen.rect(0, 0, SIDE, SIDE);
    pen.rect(...place(box));
    pen.fill("evenodd");
  }
  if (box) outline(pen, place(box), into ? [4, 3] : []);
  if (into) outline(pen, place(into));
}

/** Paint a map, with the cells outlined that a frame is about. @param {CanvasRenderingContext2D} pen @param {NonNullable<WalkStation["map"]>} map @param {Float32Array} all */
function paintMap(pen, { shown: [rows, columns], first, step, start, cells: [[a, b], [c, d]] }, all) {
  const numbers = all.subarray(start, start + rows * columns), shade = shades(numbers, false), [tall, wide] = [rows * step[0], columns * step[1]], scale = SIDE / Math.max(tall, wide);
  const [left, top] = [(SIDE - wide * scale) / 2, (SIDE - tall * scale) / 2];
  pen.imageSmoothingEnabled = false;
  pen.drawImage(painted(columns, rows, (data) => numbers.forEach((x, i) => data.set([...shade(x), 255], 4 * i))), left, top, wide * scale, tall * scale);
  outline(pen, [left + (c - first[1]) * scale, top + (a - first[0]) * scale, (d - c) * scale, (b - a) * scale]);
}

/** Outline a box, large enough to be seen, with a casing. @param {CanvasRenderingContext2D} pen @param {Place} place @param {number[]} [dash] */
function outline(pen, [x, y, width, height], dash = []) {
  const grow = Math.max(0, (6 - Math.min(width, height)) / 2);
  for (const [style, size, line] of /** @type {const} */ ([["--casing", 4, []], ["--accent", 2, dash]])) {
    pen.strokeStyle = token(style);
    pen.lineWidth = size;
    pen.setLineDash(line);
    pen.strokeRect(x - grow, y - grow, width + 2 * grow, height + 2 * grow);
  }
}
