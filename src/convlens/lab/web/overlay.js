// What the network found, laid over the picture: boxes, masks, keypoints, a walk's stations, segments.

import { html, nothing, render, svg } from "./vendor/lit-html.js";
import { NOTHING, seen } from "./answer.js";
import { maskTint, segmentsTint } from "./tints.js";

/**
 * @typedef {import("./answer.js").Detection} Detection
 * @typedef {import("./answer.js").Pointed} Pointed
 * @typedef {import("./state.js").State} State
 * @typedef {import("./tints.js").Tint} Tint
 * @typedef {import("./questions.js").Walk} Walk
 * @typedef {{ width: number, height: number }} Size
 * @typedef {{ x: number, y: number, width: number, height: number }} Place
 */

const MASKED = 20; // detections whose masks are shown before one is pointed at
const SMALLEST = 7; // CSS pixels of a side that can still be seen

export class Overlay {
  /** @type {any} */ #network = null;
  /** @type {State | null} */ #state = null;
  /** @type {Walk | null} */ #walk = null;
  /** @type {Pointed} */ #pointed = NOTHING;
  /** @type {Map<number, Tint | null>} */ #masks = new Map();
  /** @type {Uint8Array | null} */ #codes = null;
  /** @type {{ key: string, tint: Tint } | null} */ #segments = null;
  /** @type {Size} */ #size = { width: 0, height: 0 };
  /** Called when the picture must be drawn again. */
  changed = () => {};

  /**
   * @param {import("./questions.js").Questions} questions
   * @param {object} actions
   * @param {(number: number) => void} actions.detection
   * @param {(index: number[]) => void} actions.pixel
   * @param {(pointed: Partial<Pointed>) => void} actions.point
   * @param {() => void} actions.back
   */
  constructor(questions, actions) {
    this.questions = questions;
    this.actions = actions;
    const box = document.createElement("div");
    render(html`<svg class="overlay" aria-hidden="true"></svg>`, box);
    this.svg = /** @type {SVGSVGElement} */ (box.querySelector("svg"));
    this.svg.addEventListener("click", (event) => this.#click(event));
  }

  /** Another picture. @param {any} network */
  begin(network) {
    [this.#network, this.#walk, this.#pointed] = [network, null, NOTHING];
    [this.#codes, this.#segments] = [null, null];
    this.#masks.clear();
    if (network.segments) this.questions.segments().then((codes) => { this.#codes = codes; this.changed(); }, () => {});
  }

  /** @param {State} state @param {Walk | null} walk */
  show(state, walk) {
    [this.#state, this.#walk] = [state, walk];
    this.changed();
  }

  /** @param {Pointed} pointed */
  point(pointed) {
    const tinted = pointed.label !== this.#pointed.label || pointed.detection !== this.#pointed.detection;
    this.#pointed = pointed;
    if (tinted) this.changed();
    else this.draw(this.#size);
  }

  /** Whether a click on the picture means a pixel of it. */
  get #pixels() {
    return Boolean(this.#network?.segments && this.#state?.tint);
  }

  // Colours on the picture

  /** @param {CanvasRenderingContext2D} context @param {Size} size */
  paint(context, size) {
    if (!this.#state || !this.#network?.picture) return;
    if (this.#network.segments) this.#paintSegments(context, size, this.#state.tint / 100);
    if (this.#network.found?.masks) this.#paintMasks(context, size);
  }

  /** @param {CanvasRenderingContext2D} context @param {Size} size @param {number} alpha */
  #paintSegments(context, size, alpha) {
    const { segments } = this.#network;
    if (!this.#codes || !alpha) return;
    const only = this.#pointed.label;
    const key = String(only);
    if (this.#segments?.key !== key) {
      this.#segments = { key, tint: segmentsTint(this.#codes, segments.size, segments.classes, only) };
    }
    context.globalAlpha = alpha;
    context.imageSmoothingEnabled = false;
    context.drawImage(this.#segments.tint.canvas, 0, 0, size.width, size.height);
    context.globalAlpha = 1;
  }

  /** @param {CanvasRenderingContext2D} context @param {Size} size */
  #paintMasks(context, size) {
    const [rows, columns] = this.#network.picture;
    const [across, down] = [size.width / columns, size.height / rows];
    context.imageSmoothingEnabled = across < 1;
    for (const each of this.#masked().reverse()) {
      const tint = this.#mask(each);
      if (!tint) continue;
      const { canvas, x, y } = tint;
      context.drawImage(canvas, x * across, y * down, canvas.width * across, canvas.height * down);
    }
  }

  /** The detections whose masks are seen: one opened or pointed at is seen alone. */
  #masked() {
    const shown = seen(this.#network.found, /** @type {State} */ (this.#state));
    const alone = this.#pointed.detection ?? this.#state?.found ?? null;
    return alone === null ? shown.slice(0, MASKED) : shown.filter((each) => each.number === alone);
  }

  /** A mask's colours, or null while they are on their way. @param {Detection} each */
  #mask(each) {
    const known = this.#masks.get(each.number);
    if (known !== undefined) return known;
    this.#masks.set(each.number, null);
    const network = this.#network;
    this.questions.mask(each.number).then((mask) => {
      if (network !== this.#network) return;
      this.#masks.set(each.number, maskTint(mask, each.colour));
      this.changed();
    }, () => {});
    return null;
  }

  // Lines over it

  /** @param {Size} size */
  draw(size) {
    this.#size = size;
    const network = this.#network;
    if (!network) return;
    this.svg.setAttribute("viewBox", `0 0 ${Math.max(1, size.width)} ${Math.max(1, size.height)}`);
    this.svg.classList.toggle("pixels", this.#pixels);
    if (!network.picture || !this.#state) render(nothing, this.svg);
    else if (network.found) render(this.#lines(this.#state), this.svg);
    else render(network.segments ? this.#pixel(this.#state) : nothing, this.svg);
  }

  /** @param {State} state */
  #lines(state) {
    const { found } = this.#network;
    const number = this.#pointed.detection;
    const station = this.#walk?.stations[this.#pointed.station ?? state.station ?? -1];
    // Large ones first, so that small ones lie on top and can be reached.
    const boxes = seen(found, state).map((each) => ({ each, place: this.#place(each.box) }))
      .filter(({ place }) => place !== null)
      .sort((a, b) => area(b.place) - area(a.place));
    const loud = boxes.find(({ each }) => each.number === (number ?? state.found));
    return svg`${boxes.map(({ each, place }) => this.#box(each, /** @type {Place} */ (place), state))}
      ${boxes.filter(({ each }) => !loud || each === loud.each).map(({ each }) => this.#skeleton(each, found.limbs))}
      ${station ? this.#station(station) : nothing}
      ${loud && (number !== null || !station) ? this.#tag(loud.each, /** @type {Place} */ (loud.place)) : nothing}`;
  }

  /** The pixel whose score is opened. @param {State} state */
  #pixel({ at, index }) {
    const { segments, values } = this.#network;
    if (!index || values.find((/** @type {any[]} */ v) => v[0] === segments.value)?.[1] !== at) return nothing;
    const [rows, columns] = segments.size;
    const x = ((index[3] + 0.5) * this.#size.width) / columns;
    const y = ((index[2] + 0.5) * this.#size.height) / rows;
    return svg`<g class="spot"><circle class="halo" cx=${x} cy=${y} r="6"></circle><circle class="edge" cx=${x} cy=${y} r="6"></circle></g>`;
  }

  /** @param {Detection} each @param {Place} place @param {State} state */
  #box(each, { x, y, width, height }, state) {
    const loud = each.number === (this.#pointed.detection ?? state.found);
    const faint = !loud && (state.found !== null || this.#pointed.detection !== null);
    const point = (/** @type {number | null} */ at) => this.actions.point({ detection: at });
    return svg`<g class="box ${loud ? "loud" : ""} ${faint ? "faint" : ""}" data-detection=${each.number}
        @click=${(/** @type {Event} */ event) => { event.stopPropagation(); this.actions.detection(each.number); }}
        @pointerenter=${() => point(each.number)} @pointerleave=${() => point(null)}>
      <rect class="halo" x=${x} y=${y} width=${width} height=${height}></rect>
      <rect class="edge" x=${x} y=${y} width=${width} height=${height} stroke="rgb(${each.colour.join(",")})"></rect>
    </g>`;
  }

  /** @param {Detection} each @param {Place} place */
  #tag(each, place) {
    const text = `${each.label} ${(100 * Number(each.score)).toFixed(0)} %`;
    const width = measured(text) + 10;
    const x = Math.max(0, Math.min(place.x, this.#size.width - width));
    const y = place.y >= 17 ? place.y - 17 : Math.min(place.y, this.#size.height - 17);
    return svg`<g class="tag"><rect x=${x} y=${y} width=${width} height="17" rx="3" fill="rgb(${each.colour.join(",")})"></rect>
      <text x=${x + 5} y=${y + 12.5}>${text}</text></g>`;
  }

  /** @param {Detection} each @param {[number, number, number[]][]} limbs */
  #skeleton(each, limbs) {
    const { points } = each;
    if (!points) return nothing;
    const [rows, columns] = this.#network.picture;
    const at = points.map(([x, y]) => ({ x: (Number(x) * this.#size.width) / columns, y: (Number(y) * this.#size.height) / rows }));
    const drawn = limbs.filter(([a, b]) => points.length === 17 && points[a][2] && points[b][2]);
    return svg`<g class="skeleton">
      ${drawn.map(([a, b, colour]) => svg`<line x1=${at[a].x} y1=${at[a].y} x2=${at[b].x} y2=${at[b].y} stroke="rgb(${colour.join(",")})"></line>`)}
      ${points.map(([, , sure], k) => (sure ? svg`<circle cx=${at[k].x} cy=${at[k].y} r="2.5"><title>${this.#network.found.points[k] ?? `keypoint ${k}`}</title></circle>` : nothing))}
    </g>`;
  }

  /** Where a station lies in the picture. @param {import("./questions.js").Station} station */
  #station(station) {
    const place = station.box && this.#place(station.box);
    if (!place) return nothing;
    const { x, y, width, height } = place;
    return svg`<g class="spot ${station.link === "chosen" ? "chosen" : "made"}" data-station=${station.name}>
      <rect class="halo" x=${x} y=${y} width=${width} height=${height}></rect>
      <rect class="edge" x=${x} y=${y} width=${width} height=${height}></rect></g>`;
  }

  /** A box in CSS pixels, large enough to be seen; null where it is no place. @param {(number | string)[]} box @returns {Place | null} */
  #place(box) {
    const [x1, y1, x2, y2] = box.map(Number);
    if (![x1, y1, x2, y2].every(Number.isFinite)) return null;
    const [rows, columns] = this.#network.picture;
    const [across, down] = [this.#size.width / columns, this.#size.height / rows];
    const [wide, tall] = [(x2 - x1) * across, (y2 - y1) * down];
    const [width, height] = [Math.max(wide, SMALLEST), Math.max(tall, SMALLEST)];
    return { x: x1 * across + (wide - width) / 2, y: y1 * down + (tall - height) / 2, width, height };
  }

  /** On no box: a pixel of the segments, else one back. @param {MouseEvent} event */
  #click(event) {
    event.stopPropagation();
    if (!this.#pixels) return void (this.#network?.found && this.actions.back());
    const { segments } = this.#network;
    const room = this.svg.getBoundingClientRect();
    const [rows, columns] = segments.size;
    const row = cell(event.clientY - room.top, room.height, rows);
    const column = cell(event.clientX - room.left, room.width, columns);
    const label = this.#codes?.[row * columns + column];
    if (label !== undefined) this.actions.pixel([0, label, row, column]);
  }
}

/** @param {number} at @param {number} size @param {number} cells */
function cell(at, size, cells) {
  return Math.max(0, Math.min(cells - 1, Math.floor((at * cells) / size)));
}

/** CSS pixels a tag's text is wide. @param {string} text */
function measured(text) {
  pen.font = "11px ui-sans-serif, system-ui, sans-serif";
  return pen.measureText(text).width;
}

const pen = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));

/** @param {Place | null} place */
function area(place) {
  return place ? place.width * place.height : 0;
}
