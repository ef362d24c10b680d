// The network's answer laid over the picture: boxes, masks, points, a walk's stations, segments.

import { html, nothing, render, svg } from "./vendor/lit-html.js";
import { NOTHING, seen } from "./answer.js";
import { NO_NETWORK } from "./answers.js";
import { maskTint, segmentsTint } from "./tints.js";

/**
 * @typedef {import("./answers.js").Detection} Detection
 * @typedef {import("./answers.js").DetectionList} DetectionList
 * @typedef {import("./answers.js").NetworkAnswer} NetworkAnswer
 * @typedef {import("./answers.js").SegmentList} SegmentList
 * @typedef {import("./answer.js").Pointed} Pointed
 * @typedef {import("./state.js").State} State
 * @typedef {import("./tints.js").Tint} Tint
 * @typedef {import("./answers.js").WalkAnswer} Walk
 * @typedef {{ width: number, height: number }} Size
 * @typedef {{ x: number, y: number, width: number, height: number }} Place
 */

const MASKED = 20; // detections whose masks are shown before one is pointed at
const SMALLEST = 7; // CSS pixels of a side that can still be seen

export class Overlay {
  #network = NO_NETWORK;
  /** @type {State | null} */ #state = null;
  /** @type {Walk | null} */ #walk = null;
  /** @type {Pointed} */ #pointed = NOTHING;
  /** @type {Map<string, Tint | null>} */ #masks = new Map();
  /** @type {Uint8Array | null} */ #codes = null;
  /** @type {{ key: string, tint: Tint } | null} */ #segments = null;
  /** @type {Size} */ #size = { width: 0, height: 0 };
  /** Called when the picture must be drawn again. */
  changed = () => {};

  /**
   * @param {import("./questions.js").Questions} questions
   * @param {object} actions
   * @param {(number: number) => void} actions.detection
   * @param {(index: number[]) => void} actions.number
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

  /** Begin with another picture. @param {NetworkAnswer} network */
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
    return Boolean(this.#network.segments && this.#state?.tint);
  }

  // Colours on the picture

  /** @param {CanvasRenderingContext2D} context @param {Size} size */
  paint(context, size) {
    const { detections, picture, segments } = this.#network;
    if (!this.#state || !picture) return;
    if (segments) this.#paintSegments(context, size, segments, this.#state.tint / 100);
    const masked = detections ? this.#masked(detections, this.#state).reverse() : [];
    for (let map = 0; detections && map < detections.maps; map++) this.#paintMasks(context, size, picture, masked, map);
  }

  /** @param {CanvasRenderingContext2D} context @param {Size} size @param {SegmentList} segments @param {number} alpha */
  #paintSegments(context, size, segments, alpha) {
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

  /** @param {CanvasRenderingContext2D} context @param {Size} size @param {number[]} picture @param {Detection[]} masked @param {number} map */
  #paintMasks(context, size, [rows, columns], masked, map) {
    const [across, down] = [size.width / columns, size.height / rows];
    context.imageSmoothingEnabled = across < 1;
    for (const each of masked) {
      const tint = this.#mask(each, map);
      if (!tint) continue;
      const { canvas, x, y } = tint;
      context.drawImage(canvas, x * across, y * down, canvas.width * across, canvas.height * down);
    }
  }

  /** Return the detections whose masks show: one that is opened or pointed at shows alone. @param {DetectionList} detections @param {State} state */
  #masked(detections, state) {
    const shown = seen(detections, state);
    const alone = this.#pointed.detection ?? state.detection;
    return alone === null ? shown.slice(0, MASKED) : shown.filter((each) => each.number === alone);
  }

  /** Return a mask's colours, null until they arrive. @param {Detection} each @param {number} map */
  #mask(each, map) {
    const key = `${each.number} ${map}`;
    const known = this.#masks.get(key);
    if (known !== undefined) return known;
    this.#masks.set(key, null);
    const network = this.#network;
    this.questions.mask(each.number, map).then((mask) => {
      if (network !== this.#network) return;
      this.#masks.set(key, maskTint(mask, each.colour));
      this.changed();
    }, () => {});
    return null;
  }

  // Lines over the picture

  /** @param {Size} size */
  draw(size) {
    this.#size = size;
    const { detections, picture, segments } = this.#network;
    this.svg.setAttribute("viewBox", `0 0 ${Math.max(1, size.width)} ${Math.max(1, size.height)}`);
    this.svg.classList.toggle("pixels", this.#pixels);
    if (!picture || !this.#state) render(nothing, this.svg);
    else if (detections) render(this.#lines(detections, picture, this.#state), this.svg);
    else render(segments ? this.#pixel(segments, this.#state) : nothing, this.svg);
  }

  /** @param {DetectionList} detections @param {number[]} picture @param {State} state */
  #lines(detections, picture, state) {
    const number = this.#pointed.detection;
    const station = this.#walk?.stations[this.#pointed.station ?? state.station ?? -1];
    // Large ones first, so that small ones lie on top and can be reached.
    const boxes = seen(detections, state).map((each) => ({ each, place: this.#place(each.box, picture) }))
      .filter(({ place }) => place !== null)
      .sort((a, b) => area(b.place) - area(a.place));
    const loud = boxes.find(({ each }) => each.number === (number ?? state.detection));
    return svg`${boxes.map(({ each, place }) => this.#box(each, /** @type {Place} */ (place), state))}
      ${boxes.filter(({ each }) => !loud || each === loud.each).map(({ each }) => this.#skeleton(each, detections, picture))}
      ${station ? this.#station(station, picture) : nothing}
      ${loud && (number !== null || !station) ? this.#tag(loud.each, /** @type {Place} */ (loud.place)) : nothing}`;
  }

  /** Mark the pixel whose score is opened. @param {SegmentList} segments @param {State} state */
  #pixel(segments, { at, index }) {
    if (!index || this.#network.values.find((v) => v.id === segments.value)?.name !== at) return nothing;
    const [rows, columns] = segments.size;
    const x = ((index[3] + 0.5) * this.#size.width) / columns;
    const y = ((index[2] + 0.5) * this.#size.height) / rows;
    return svg`<g class="spot"><circle class="halo" cx=${x} cy=${y} r="6"></circle><circle class="edge" cx=${x} cy=${y} r="6"></circle></g>`;
  }

  /** @param {Detection} each @param {Place} place @param {State} state */
  #box(each, { x, y, width, height }, state) {
    const loud = each.number === (this.#pointed.detection ?? state.detection);
    const faint = !loud && (state.detection !== null || this.#pointed.detection !== null);
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
    const text = `${each.label} ${(100 * each.score).toFixed(0)} %`;
    const width = measured(text) + 10;
    const x = Math.max(0, Math.min(place.x, this.#size.width - width));
    const y = place.y >= 17 ? place.y - 17 : Math.min(place.y, this.#size.height - 17);
    return svg`<g class="tag"><rect x=${x} y=${y} width=${width} height="17" rx="3" fill="rgb(${each.colour.join(",")})"></rect>
      <text x=${x + 5} y=${y + 12.5}>${text}</text></g>`;
  }

  /** @param {Detection} each @param {DetectionList} detections @param {number[]} picture */
  #skeleton({ points }, { limbs, points: names }, [rows, columns]) {
    if (!points.length) return nothing;
    const at = points.map(([x, y]) => ({ x: (x * this.#size.width) / columns, y: (y * this.#size.height) / rows }));
    const drawn = limbs.filter(([a, b]) => points[a][2] && points[b][2]);
    return svg`<g class="skeleton">
      ${drawn.map(([a, b, colour]) => svg`<line x1=${at[a].x} y1=${at[a].y} x2=${at[b].x} y2=${at[b].y} stroke="rgb(${colour.join(",")})"></line>`)}
      ${points.map(([, , sure], k) => (sure ? svg`<circle cx=${at[k].x} cy=${at[k].y} r="2.5"><title>${names[k] ?? `point ${k}`}</title></circle>` : nothing))}
    </g>`;
  }

  /** Mark where a station lies in the picture. @param {import("./answers.js").WalkStation} station @param {number[]} picture */
  #station(station, picture) {
    const place = station.box && this.#place(station.box, picture);
    if (!place) return nothing;
    const { x, y, width, height } = place;
    return svg`<g class="spot ${station.link === "chosen" ? "chosen" : "made"}" data-station=${station.name}>
      <rect class="halo" x=${x} y=${y} width=${width} height=${height}></rect>
      <rect class="edge" x=${x} y=${y} width=${width} height=${height}></rect></g>`;
  }

  /** Return a box in CSS pixels, large enough to be seen; null if its sides are not finite. @param {number[]} box @param {number[]} picture @returns {Place | null} */
  #place([x1, y1, x2, y2], [rows, columns]) {
    if (![x1, y1, x2, y2].every(Number.isFinite)) return null;
    const [across, down] = [this.#size.width / columns, this.#size.height / rows];
    const [wide, tall] = [(x2 - x1) * across, (y2 - y1) * down];
    const [width, height] = [Math.max(wide, SMALLEST), Math.max(tall, SMALLEST)];
    return { x: x1 * across + (wide - width) / 2, y: y1 * down + (tall - height) / 2, width, height };
  }

  /** Open a pixel of the segments, else go one back: a click beside the boxes. @param {MouseEvent} event */
  #click(event) {
    event.stopPropagation();
    const { detections, segments } = this.#network;
    if (!this.#pixels || !segments) return void (detections && this.actions.back());
    const room = this.svg.getBoundingClientRect();
    const [rows, columns] = segments.size;
    const row = cell(event.clientY - room.top, room.height, rows);
    const column = cell(event.clientX - room.left, room.width, columns);
    const label = this.#codes?.[row * columns + column];
    if (label !== undefined) this.actions.number([0, label, row, column]);
  }
}

/** @param {number} at @param {number} size @param {number} cells */
function cell(at, size, cells) {
  return Math.max(0, Math.min(cells - 1, Math.floor((at * cells) / size)));
}

/** Return the width of a tag's text in CSS pixels. @param {string} text */
function measured(text) {
  pen.font = "11px ui-sans-serif, system-ui, sans-serif";
  return pen.measureText(text).width;
}

const pen = /** @type {CanvasRenderingContext2D} */ (document.createElement("canvas").getContext("2d"));

/** @param {Place | null} place */
function area(place) {
  return place ? place.width * place.height : 0;
}
