// The picture with the network's answer on it: the boxes, masks and skeletons of a detector, the classes of a segmenter.

import { html, nothing, render, svg } from "./vendor/lit-html.js";
import { Filmstrip } from "./filmstrip.js";
import { listed } from "./listing.js";
import { PixelScores } from "./pixel.js";
import { percent } from "./numbers.js";
import { Part } from "./part.js";
import { maskTint, segmentsTint } from "./tints.js";

/**
 * @typedef {import("./answers.js").Detection} Detection
 * @typedef {import("./answers.js").DetectionList} DetectionList
 * @typedef {import("./answers.js").SegmentList} SegmentList
 */

const MASKED = 20; // detections whose masks are shown
const LISTED = 12; // lines of the list

export class PictureView extends Part {
  /** @type {ImageBitmap | null} */ bitmap = null;
  /** @type {Uint8Array | null} */ #codes = null;
  /** @type {Map<string, import("./tints.js").Tint | null>} */ #masks = new Map();
  /** The detection, and the class, under the pointer. @type {[number | null, number | null]} */ #pointed = [null, null];
  #recording = 0;

  canvas = document.createElement("canvas");
  filmstrip = new Filmstrip(this.stage, this);
  pixel = new PixelScores(this.stage);

  get #told() {
    return this.stage.net.told;
  }

  /** Whether a value is shown here: the picture of a network that detects or segments. @param {import("./answers.js").ValueRow | undefined} value */
  holds(value) {
    const { detections, segments, picture, frames } = this.#told;
    return Boolean(value && this.stage.net.isPicture(value.id) && (detections || segments) && picture && frames === 1);
  }

  /** What the detector's boxes are at the score that the reader set. @returns {ReturnType<typeof listed> | null} */
  get seen() {
    const { detections } = this.#told;
    return detections && listed(detections, this.stage.state);
  }

  /** @param {() => boolean} current */
  async draw(current) {
    const { questions } = this.stage;
    const { recording, segments, detections } = this.#told;
    if (recording !== this.#recording) {
      const [bitmap, codes] = await Promise.all([questions.picture(), segments ? questions.once("segments", {}).then((found) => found.codes) : null]);
      if (!current()) return;
      [this.bitmap, this.#codes, this.#recording] = [bitmap, codes, recording];
      this.#masks.clear();
    }
    this.#pointed = [null, null];
    this.#frame();
    // The picture does not wait for the walk, which takes a while the first time.
    (detections ? this.filmstrip : this.pixel).draw(current).catch((error) => { if (current()) this.stage.alert(error); });
  }

  #frame() {
    const { detections, segments } = this.#told;
    render(html`<div class="pv-main ${detections ? "found" : ""}"><div class="pv-pin"><div class="pv-stack" @pointerleave=${() => this.#point(null, null)}>${this.canvas}<div class="pv-over"></div></div></div>
      <div class="pv-side"><div class="pv-head">${detections ? this.#slider(detections) : this.#opacity()}</div><div class="pv-list"></div>${detections ? nothing : this.pixel.el}</div></div>${detections ? this.filmstrip.el : nothing}`, this.el);
    this.paint();
    this.stage.say(detections ? this.#found(detections) : segments ? `Every pixel has the class with the largest of its ${segments.count} scores; “${segments.classes[0].name}” has ${share(segments.classes[0].share)} of them. Click a pixel to see its scores.` : "");
  }

  // The picture, and what lies over it

  paint() {
    const { picture, detections, segments } = this.#told;
    if (!this.bitmap || !picture) return;
    const [rows, columns] = picture;
    const narrow = this.stage.el.clientWidth < 800;
    const width = narrow ? this.stage.room : Math.min(this.stage.room - 280, 860);
    const top = this.stage.at("body").getBoundingClientRect().top + scrollY;
    const scale = Math.min(width / columns, (narrow ? (detections ? 180 : 300) : Math.max(detections ? 260 : 320, innerHeight - top - (detections ? 226 : 32))) / rows);
    const ratio = devicePixelRatio || 1;
    [this.canvas.width, this.canvas.height] = [Math.round(columns * scale * ratio), Math.round(rows * scale * ratio)];
    Object.assign(this.canvas.style, { width: `${columns * scale}px`, height: `${rows * scale}px` });
    const pen = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    pen.setTransform(ratio * scale, 0, 0, ratio * scale, 0, 0); // in pixels of the picture
    pen.imageSmoothingEnabled = ratio * scale < 3;
    pen.drawImage(this.bitmap, 0, 0, columns, rows);
    if (detections) this.#paintMasks(pen, detections.maps);
    else if (segments && this.#codes) {
      pen.globalAlpha = this.stage.state.tint / 100;
      pen.imageSmoothingEnabled = false;
      pen.drawImage(segmentsTint(this.#codes, segments.size, segments.classes, this.#pointed[1]).canvas, 0, 0, columns, rows);
    }
    this.canvas.role = "img";
    this.canvas.setAttribute("aria-label", detections ? this.#found(detections) : "The picture, coloured by class");
    const part = (/** @type {string} */ name) => /** @type {HTMLElement} */ (this.el.querySelector(name));
    render(detections ? this.#boxes(detections, rows, columns) : segments ? this.#pixels(segments) : nothing, part(".pv-over"));
    render(detections ? this.#lines(detections) : segments ? this.#legend(segments) : nothing, part(".pv-list"));
  }

  /** @param {CanvasRenderingContext2D} pen @param {number} maps */
  #paintMasks(pen, maps) {
    const { boxes, walked } = /** @type {ReturnType<typeof listed>} */ (this.seen);
    const alone = this.#pointed[0] ?? (this.stage.state.found === null ? null : walked?.number ?? null);
    const masked = alone === null ? boxes.slice(0, MASKED) : boxes.filter((each) => each.number === alone);
    for (const each of masked.reverse()) {
      for (let map = 0; map < maps; map++) {
        const tint = this.#mask(each, map);
        if (tint) pen.drawImage(tint.canvas, tint.x, tint.y);
      }
    }
  }

  /** Return a mask's colours, null until they arrive. @param {Detection} each @param {number} map */
  #mask(each, map) {
    const key = `${each.number} ${map}`;
    const known = this.#masks.get(key);
    if (known !== undefined) return known;
    this.#masks.set(key, null);
    const recording = this.#recording;
    this.stage.questions.once("mask", { detection: each.number, map }).then((mask) => {
      if (recording !== this.#recording) return;
      this.#masks.set(key, maskTint(mask, each.colour));
      this.paint();
    }, () => {});
    return null;
  }

  /** @param {DetectionList} detections @param {number} rows @param {number} columns */
  #boxes(detections, rows, columns) {
    const { boxes, low, walked } = listed(detections, this.stage.state);
    const loud = this.#pointed[0] ?? walked?.number ?? null;
    const area = (/** @type {Detection} */ { box: [a, b, c, d] }) => (c - a) * (d - b);
    const finite = [...boxes, ...low].filter(({ box }) => box.every(Number.isFinite)).sort((a, b) => area(b) - area(a)); // small ones on top
    const bones = boxes.filter((each) => each.points.length && (this.stage.state.found === null || each.number === loud));
    const { station } = this.filmstrip;
    return html`${finite.map((each) => html`<button type="button" tabindex="-1" aria-hidden="true" data-found=${each.number} class="pv-box ${low.includes(each) ? "low" : ""} ${each.number === loud ? "loud" : "faint"}"
        .style=${`${within(each.box, rows, columns)};color:rgb(${each.colour})`} @click=${() => this.#open(each)} @pointerenter=${() => this.#point(each.number, null)}>${each.number === loud ? html`<span
        class="pv-tag ${each.box[1] < 0.08 * rows ? "inside" : ""} ${each.box[0] > 0.6 * columns ? "left" : ""}" .style=${`background:rgb(${each.colour})`}>${each.label} ${each.text}</span>` : nothing}</button>`)}
      ${bones.length ? html`<svg class="pv-bones" viewBox="0 0 ${columns} ${rows}" aria-hidden="true">${bones.map((each) => skeleton(each, detections))}</svg>` : nothing}
      ${station?.box ? html`<div class="pv-spot ${station.link === "chosen" ? "chosen" : ""}" .style=${within(station.box, rows, columns)}></div>` : nothing}`;
  }

  /** A pixel is pointed at, moved to with arrows, and opened. @param {SegmentList} segments */
  #pixels({ size, classes }) {
    const [row, column] = this.pixel.place;
    const inside = (/** @type {number} */ at, /** @type {number} */ axis) => Math.max(0, Math.min(size[axis] - 1, Math.floor(at)));
    const under = (/** @type {MouseEvent} */ event) => {
      const room = /** @type {HTMLElement} */ (event.currentTarget).getBoundingClientRect();
      return [inside(((event.clientY - room.top) * size[0]) / room.height, 0), inside(((event.clientX - room.left) * size[1]) / room.width, 1)];
    };
    const hover = (/** @type {PointerEvent} */ event) => {
      const [y, x] = under(event);
      const label = this.#codes?.[y * size[1] + x];
      this.stage.say(`Row ${y}, column ${x} is “${classes.find((each) => each.label === label)?.name}”. Click it to see the scores of all classes there.`);
    };
    const key = (/** @type {KeyboardEvent} */ event) => {
      const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.pixel.pick([row, column].map((at, axis) => inside(at + by[axis] * (event.shiftKey ? 10 : 1), axis)));
    };
    return html`<div class="pv-pixels" role="button" tabindex="0" aria-label="Row ${row}, column ${column}; arrows move to another pixel" @keydown=${key}
        @click=${(/** @type {MouseEvent} */ event) => this.pixel.pick(under(event))} @pointermove=${hover}></div><div class="pv-spot" .style=${within([column, row, column + 1, row + 1], size[0], size[1])}></div>`;
  }

  /** @param {number | null} found @param {number | null} label */
  #point(found, label) {
    if (found === this.#pointed[0] && label === this.#pointed[1]) return;
    this.#pointed = [found, label];
    this.paint();
  }

  /** @param {Detection} each */
  #open(each) {
    return this.stage.go({ found: each.number, station: null });
  }

  // What stands beside it

  /** @param {DetectionList} detections */
  #slider({ count, least }) {
    const { boxes, from } = /** @type {ReturnType<typeof listed>} */ (this.seen);
    return html`<b>Found ${boxes.length}</b><span class="soft">${count > boxes.length ? `of ${count}` : nothing}</span>${this.#range("Least score", "least", from, html`<i class="pv-tick" .style=${`left:calc(8px + (100% - 16px) * ${least})`}
      title="Here, at ${least}, the network itself stops"></i>`)}<output>from ${from} %</output>`;
  }

  #opacity() {
    const { tint } = this.stage.state;
    return html`<b>Classes</b>${this.#range("Strength of the colours", "tint", tint, nothing)}<output>${tint} %</output>`;
  }

  /** @param {string} label @param {"least" | "tint"} name @param {number} at @param {unknown} tick */
  #range(label, name, at, tick) {
    const set = (/** @type {{ target: HTMLInputElement }} */ { target }) => { this.stage.move({ [name]: Number(target.value) }); this.#frame(); };
    return html`<span class="pv-range"><input type="range" min="0" max="100" aria-label="${label}, in per cent" .value=${String(at)} @input=${set}>${tick}</span>`;
  }

  /** @param {DetectionList} detections */
  #lines(detections) {
    const { boxes, low, walked } = listed(detections, this.stage.state);
    const all = [...boxes, ...low];
    const shown = all.slice(0, LISTED);
    if (walked && !shown.includes(walked)) shown.push(walked);
    return html`${shown.map((each) => html`<button type="button" class="pv-line ${each.number === this.#pointed[0] ? "hot" : ""}" aria-pressed=${each === walked} data-found=${each.number} @click=${() => this.#open(each)}
        @pointerenter=${() => this.#point(each.number, null)} @pointerleave=${() => this.#point(null, null)}>${line(each.colour, each.label, each.score, each.text, low.includes(each))}</button>`)}
      ${all.length > shown.length ? html`<p class="soft">${all.length - shown.length} more, on the picture</p>` : nothing}
      ${low.length ? html`<p class="soft">Dotted boxes scored too little to be reported.</p>` : nothing}`;
  }

  /** @param {SegmentList} segments */
  #legend({ classes }) {
    return classes.slice(0, LISTED).map((each) => html`<button type="button" class="pv-line ${each.label === this.#pointed[1] ? "hot" : ""}" data-label=${each.label} title="To where its score is the largest"
      @click=${() => this.pixel.pick(each.index.slice(-2))} @pointerenter=${() => this.#point(null, each.label)} @pointerleave=${() => this.#point(null, null)}>${line(each.colour, each.name, each.share, share(each.share))}</button>`);
  }

  /** @param {DetectionList} detections */
  #found({ best, count, sentence }) {
    if (!count) return sentence;
    const { boxes, from } = /** @type {ReturnType<typeof listed>} */ (this.seen);
    const sure = boxes.filter((each) => each.score >= from / 100).length;
    return `${sure ? `${sure} ${sure === 1 ? "box" : "boxes"}` : "No box"} scored ${from} % or more; the best of ${count} is “${best[0].label}”, ${best[0].text}. Click one to walk it back to the pixels.`;
  }
}

/** Return where a box of the picture lies, as a style. @param {number[]} box @param {number} rows @param {number} columns */
function within([left, top, right, bottom], rows, columns) {
  return `left:${(100 * left) / columns}%;top:${(100 * top) / rows}%;width:${(100 * (right - left)) / columns}%;height:${(100 * (bottom - top)) / rows}%`;
}

/** @param {Detection} each @param {DetectionList} list */
function skeleton({ points }, { limbs, points: names }) {
  return svg`${limbs.filter(([a, b]) => points[a][2] && points[b][2]).map(([a, b, colour]) => svg`<line x1=${points[a][0]} y1=${points[a][1]} x2=${points[b][0]} y2=${points[b][1]} stroke="rgb(${colour})"></line>`)}
    ${points.map(([x, y, sure], k) => (sure ? svg`<line class="joint" x1=${x} y1=${y} x2=${x} y2=${y}><title>${names[k] ?? `point ${k}`}</title></line>` : nothing))}`;
}

/** A line of the list: colour, name, a bar and its number. @param {number[]} colour @param {string} name @param {number} part of 1 @param {string} text @param {boolean} [low] */
function line(colour, name, part, text, low) {
  return html`<i class="pv-swatch ${low ? "low" : ""}" .style=${`color:rgb(${colour})`}></i><span>${name}</span><span class="pv-bar" aria-hidden="true"><i .style=${`width:${100 * (part || 0)}%`}></i></span><span class="n">${text}</span>`;
}

/** @param {number} part of 1 */
function share(part) {
  return part > 0 && part < 0.0005 ? "< 0.1 %" : percent(part);
}
