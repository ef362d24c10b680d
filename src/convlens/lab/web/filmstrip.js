// The walk of a detection as the frames of a filmstrip: each shows its part of the picture, its map or its number.

import { html, nothing, render } from "./vendor/lit-html.js";
import { largest, shades, token } from "./colours.js";

/**
 * @typedef {import("./answers.js").WalkAnswer} Walk
 * @typedef {import("./answers.js").WalkStation} WalkStation
 * @typedef {import("./answers.js").WalkMap} WalkMap
 */

const SIDE = 96; // CSS pixels of a frame's picture

export class Filmstrip {
  /** @type {Walk | null} */ #walk = null;
  /** @type {number | null} */ #at = null;
  /** The station that was chosen when a finger or the mouse came down. @type {number | null} */ #before = null;

  /** @param {import("./stage.js").Stage} stage @param {import("./picture.js").PictureView} picture */
  constructor(stage, picture) {
    this.stage = stage;
    this.picture = picture;
    this.el = document.createElement("section");
    this.el.className = "fs";
    this.el.setAttribute("aria-label", "Its way back to the pixels");
    this.el.addEventListener("keydown", (event) => this.#key(event));
  }

  /** The station that is chosen, once the reader has chosen one. @returns {WalkStation | null} */
  get station() {
    return this.#at === null ? null : (this.#walk?.stations[this.#at] ?? null);
  }

  /** @param {() => boolean} current */
  async draw(current) {
    const walked = this.picture.seen?.walked;
    if (!walked || !this.stage.net.told.detections?.walks) {
      this.#walk = null;
      return render(walked ? html`<p class="soft">This network is built in a way of its own; its boxes cannot be walked back.</p>` : nothing, this.el);
    }
    const late = setTimeout(() => render(html`<p class="soft fs-wait">Walking it back to the pixels …</p>`, this.el), 250);
    const walk = await this.stage.questions.once("walk", { detection: walked.number }).finally(() => clearTimeout(late));
    if (!current()) return;
    [this.#walk, this.#at] = [walk, this.stage.state.station];
    this.#show();
    if (this.#at !== null) this.picture.paint();
  }

  #show() {
    const { stations } = /** @type {Walk} */ (this.#walk);
    const at = Math.min(this.#at ?? 0, stations.length - 1);
    const said = this.#said(stations[at]);
    const narrow = this.stage.el.clientWidth < 800;
    render(html`<ol class="fs-row">${stations.map((station, k) => html`${this.#link(station, k)}<li class="fs-frame"><button type="button" data-station=${k} tabindex=${k === at ? 0 : -1} aria-pressed=${k === at}
        @pointerenter=${(/** @type {PointerEvent} */ event) => { if (event.pointerType === "mouse" && !narrow) this.#choose(k); }} @focus=${() => this.#choose(k)} @pointerdown=${() => { this.#before = this.#at; }} @click=${(/** @type {MouseEvent} */ event) => this.#press(k, !event.detail)}>
        <span class="fs-name">${station.name}</span>${station.frame === "score" ? html`<span class="fs-big">${station.brief}</span>` : html`<canvas aria-hidden="true"></canvas>`}
        <span class="fs-brief">${station.frame === "score" ? "softmax" : station.brief || this.picture.seen?.walked?.label}</span></button>${narrow && k === at ? said : nothing}</li>`)}</ol>${narrow ? nothing : said}`, this.el);
    for (const [k, station] of stations.entries()) {
      const canvas = /** @type {HTMLCanvasElement | null} */ (this.el.querySelector(`[data-station="${k}"] canvas`));
      if (canvas) this.#paint(canvas, station);
    }
  }

  /** The line to a frame: full where it is made of this one, broken where it was chosen. @param {WalkStation} station @param {number} k */
  #link({ link, chosen }, k) {
    if (!chosen && link !== "chosen") return k ? html`<li class="fs-link" aria-hidden="true"></li>` : nothing;
    const word = chosen ? html`<button type="button" title="Open the number that chose it" @click=${() => this.#number(chosen.value, chosen.index, "number")}>chosen</button>` : html`<span>chosen</span>`;
    return html`<li class="fs-link chosen">${word}</li>`;
  }

  /** What a frame is about, beneath it. @param {WalkStation} station */
  #said(station) {
    const { text, chosen } = station;
    const said = `${text[0].toUpperCase()}${text.slice(1)}.`.replace(/(^|[ (])-(?=\d)/g, "$1−");
    return html`<p class="fs-say" aria-live="polite">${chosen ? html`<b>${chosen.text}</b> ` : nothing}${said} <button type="button" class="fs-open" @click=${() => this.#go(station)}>Open this number</button></p>`;
  }

  /** Show a frame's sentence and its place in the picture; nothing is asked. @param {number} k */
  #choose(k) {
    if (k === this.#at) return;
    this.#at = k;
    this.stage.move({ station: k });
    this.#show();
    this.picture.paint();
  }

  /** Open a frame's number; a finger chooses the frame first. @param {number} k @param {boolean} key whether a key was pressed */
  #press(k, key) {
    if (this.#before !== k && !key) return this.#choose(k);
    this.#go(/** @type {WalkStation} */ (this.#walk?.stations[k]));
  }

  /** @param {WalkStation} station */
  #go({ value, index, frame }) {
    return this.#number(value, index, frame === "box" || frame === "pixels" ? "number" : "window");
  }

  /** @param {number} value @param {number[]} index @param {"window" | "number"} near */
  #number(value, index, near) {
    return this.stage.go({ at: this.stage.net.value(value).name, index, near, trail: [] });
  }

  /** Go from frame to frame with the arrows. @param {KeyboardEvent} event */
  #key(event) {
    const by = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    const at = /** @type {HTMLElement} */ (event.target).dataset.station;
    if (!by || at === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const next = Math.max(0, Math.min((this.#walk?.stations.length ?? 1) - 1, Number(at) + by));
    /** @type {HTMLElement} */ (this.el.querySelector(`[data-station="${next}"]`)).focus();
  }

  // What a frame shows

  /** @param {HTMLCanvasElement} canvas @param {WalkStation} station */
  #paint(canvas, station) {
    const ratio = devicePixelRatio || 1;
    canvas.width = canvas.height = SIDE * ratio;
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (station.map) paintMap(pen, station.map, /** @type {Walk} */ (this.#walk).numbers);
    else if (this.picture.bitmap) this.#paintCut(pen, station, this.picture.bitmap);
  }

  /** Paint a part of the picture, with the station's box, and the box it was moved into. @param {CanvasRenderingContext2D} pen @param {WalkStation} station @param {ImageBitmap} bitmap */
  #paintCut(pen, { box, into, cut }, bitmap) {
    const [x1, y1, x2, y2] = cut ?? [0, 0, bitmap.width, bitmap.height];
    if (![x1, y1, x2, y2].every(Number.isFinite)) return;
    const edge = cut ? 0.12 * Math.max(x2 - x1, y2 - y1, 4) : 0;
    const scale = SIDE / (Math.max(x2 - x1, y2 - y1) + 2 * edge);
    const [left, top] = [(x1 + x2 - SIDE / scale) / 2, (y1 + y2 - SIDE / scale) / 2];
    pen.imageSmoothingEnabled = scale < 4;
    pen.drawImage(bitmap, -left * scale, -top * scale, bitmap.width * scale, bitmap.height * scale);
    const place = (/** @type {number[]} */ [a, b, c, d]) => /** @type {const} */ ([(a - left) * scale, (b - top) * scale, (c - a) * scale, (d - b) * scale]);
    if (!cut && box) veil(pen, place(box));
    if (box) outline(pen, place(box), into ? [4, 3] : []);
    if (into) outline(pen, place(into), []);
  }
}

/** Paint a map, with the cells outlined that a frame is about. @param {CanvasRenderingContext2D} pen @param {WalkMap} map @param {Float32Array} all */
function paintMap(pen, { shown: [rows, columns], first, step, start, cells }, all) {
  const numbers = all.subarray(start, start + rows * columns);
  const bitmap = document.createElement("canvas");
  [bitmap.width, bitmap.height] = [columns, rows];
  const paint = /** @type {CanvasRenderingContext2D} */ (bitmap.getContext("2d"));
  const image = paint.createImageData(columns, rows);
  const shade = shades(numbers, false, largest(numbers) || 1);
  numbers.forEach((x, i) => image.data.set([...shade(x), 255], 4 * i));
  paint.putImageData(image, 0, 0);
  const tall = rows * step[0];
  const wide = columns * step[1];
  const scale = SIDE / Math.max(tall, wide);
  const [left, top] = [(SIDE - wide * scale) / 2, (SIDE - tall * scale) / 2];
  pen.imageSmoothingEnabled = false;
  pen.drawImage(bitmap, left, top, wide * scale, tall * scale);
  const [[a, b], [c, d]] = cells;
  outline(pen, [left + (c - first[1]) * scale, top + (a - first[0]) * scale, (d - c) * scale, (b - a) * scale], []);
}

/** Outline a box, large enough to be seen, with a casing. @param {CanvasRenderingContext2D} pen @param {readonly [number, number, number, number]} place @param {number[]} dash */
function outline(pen, [x, y, width, height], dash) {
  const grow = Math.max(0, (6 - Math.min(width, height)) / 2);
  for (const [style, size, line] of /** @type {const} */ ([["--casing", 4, []], ["--accent", 2, dash]])) {
    pen.strokeStyle = token(style);
    pen.lineWidth = size;
    pen.setLineDash([...line]);
    pen.strokeRect(x - grow, y - grow, width + 2 * grow, height + 2 * grow);
  }
}

/** Cover what lies outside a box. @param {CanvasRenderingContext2D} pen @param {readonly [number, number, number, number]} place */
function veil(pen, [x, y, width, height]) {
  pen.fillStyle = "rgba(0,0,0,0.45)";
  pen.beginPath();
  pen.rect(0, 0, SIDE, SIDE);
  pen.rect(x, y, width, height);
  pen.fill("evenodd");
}
