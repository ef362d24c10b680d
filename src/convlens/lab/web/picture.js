// The picture with the network's answer on it: the boxes, masks and skeletons of a detector, the classes of a segmenter.

import { html, nothing, render, svg } from "./vendor/lit-html.js";
import { Filmstrip } from "./filmstrip.js";
import { listed } from "./listing.js";
import { percent } from "./numbers.js";
import { Part } from "./part.js";
import { PixelScores } from "./pixel.js";
import { maskTint, segmentsTint } from "./tints.js";

/** @typedef {ReturnType<typeof listed>} Seen */

const MASKED = 20; // detections whose masks are shown
const LISTED = 12; // lines of the list

export class PictureView extends Part {
  /** @type {ImageBitmap | null} */ bitmap = null;
  /** @type {Uint8Array | null} */ #codes = null;
  /** @type {Map<string, ReturnType<typeof maskTint>>} */ #masks = new Map();
  /** The detection, and the class, under the pointer. @type {(number | null)[]} */ #pointed = [null, null];
  #recording = 0;
  canvas = document.createElement("canvas");
  filmstrip = new Filmstrip(this.stage, "fs", "Its way back to the pixels");
  pixel = new PixelScores(this.stage, "ps", "The scores at this pixel");

  /** Whether a value is shown here: the picture of a network that detects or segments. @param {ValueRow | undefined} value */
  holds(value) {
    const { detections, segments, picture, frames } = this.net.told;
    return Boolean(value && this.net.isPicture(value.id) && (detections || segments) && picture && frames === 1);
  }

  /** What the detector's boxes are at the score that the reader set. */
  get seen() {
    const { detections } = this.net.told;
    return detections && listed(detections, this.stage.state);
  }

  /** @param {() => boolean} current */
  async draw(current) {
    const { questions } = this.stage, { recording, segments, detections } = this.net.told;
    if (recording !== this.#recording) {
      const [bitmap, found] = await Promise.all([questions.picture(), segments && questions.once("segments", {})]);
      if (!current()) return;
      [this.bitmap, this.#codes, this.#recording] = [bitmap, found && found.codes, recording];
      this.#masks.clear();
    }
    this.#pointed = [null, null];
    this.#frame();
    // The picture does not wait for the walk, which takes a while the first time.
    (detections ? this.filmstrip : this.pixel).draw(current).catch((error) => { if (current()) this.stage.alert(error); });
  }

  #frame() {
    const { stage, seen } = this, { detections, segments } = this.net.told, { tint } = stage.state;
    const range = (/** @type {"least" | "tint"} */ name, /** @type {string} */ label, /** @type {number} */ at, tick = /** @type {Shown} */ ("")) => html`<span class="pv-range"><input type="range" min="0" max="100"
      aria-label="${label}, in per cent" .value=${String(at)} @input=${({ target }) => { stage.move({ [name]: Number(target.value) }); this.#frame(); }}>${tick}</span>`;
    const head = detections && seen ? html`<b>Found ${seen.boxes.length}</b><span class="soft">${detections.count > seen.boxes.length ? `of ${detections.count}` : ""}</span>
        ${range("least", "Least score", seen.from, html`<i class="pv-tick" .style=${`left:calc(8px + (100% - 16px) * ${detections.least})`} title="Here, at ${detections.least}, the network itself stops"></i>`)}<output>from ${seen.from} %</output>`
      : html`<b>Classes</b>${range("tint", "Strength of the colours", tint)}<output>${tint} %</output>`;
    render(html`<div class="pv-main ${detections ? "found" : ""}"><div class="pv-pin"><div class="pv-stack" @pointerleave=${() => this.#point(null, null)}>${this.canvas}<div class="pv-over"></div></div></div>
      <div class="pv-side"><div class="pv-head">${head}</div><div class="pv-list"></div>${detections ? nothing : this.pixel.el}</div></div>${detections ? this.filmstrip.el : nothing}`, this.el);
    this.paint();
    const [most] = segments?.classes ?? [];
    stage.say(detections && seen ? this.#found(detections, seen) : segments ? `Every pixel has the class with the largest of its ${segments.count} scores; “${most.name}” has ${share(most.share)} of them. Click a pixel to see its scores.` : "");
  }

  // The picture, and what lies over it

  paint() {
    const { stage, canvas, bitmap, narrow, seen } = this, { picture, detections, segments } = this.net.told;
    if (!bitmap || !picture) return;
    const [rows, columns] = picture, ratio = devicePixelRatio || 1, width = narrow ? stage.room : Math.min(stage.room - 280, 860);
    const below = stage.height - stage.at("body").offsetTop, [phone, least, rest] = detections ? [180, 260, 226] : [300, 320, 32];
    const scale = Math.min(width / columns, (narrow ? phone : Math.max(least, below - rest)) / rows);
    [canvas.width, canvas.height] = [Math.round(columns * scale * ratio), Math.round(rows * scale * ratio)];
    Object.assign(canvas.style, { width: `${columns * scale}px`, height: `${rows * scale}px` });
    const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    pen.setTransform(ratio * scale, 0, 0, ratio * scale, 0, 0); // in pixels of the picture
    pen.imageSmoothingEnabled = ratio * scale < 3;
    pen.drawImage(bitmap, 0, 0, columns, rows);
    if (detections && seen) this.#paintMasks(pen, seen, detections.maps);
    else if (segments && this.#codes) {
      pen.globalAlpha = stage.state.tint / 100;
      pen.imageSmoothingEnabled = false;
      pen.drawImage(segmentsTint(this.#codes, segments, this.#pointed[1]), 0, 0, columns, rows);
    }
    canvas.role = "img";
    canvas.ariaLabel = detections && seen ? this.#found(detections, seen) : "The picture, coloured by class";
    const put = (/** @type {string} */ name, /** @type {unknown} */ what) => render(what, /** @type {HTMLElement} */ (this.el.querySelector(name)));
    put(".pv-over", detections && seen ? this.#boxes(detections, seen, rows, columns) : segments ? this.#pixels(segments) : nothing);
    put(".pv-list", seen ? this.#lines(seen) : segments ? this.#legend(segments) : nothing);
  }

  /** @param {CanvasRenderingContext2D} pen @param {Seen} seen @param {number} maps */
  #paintMasks(pen, { boxes, walked }, maps) {
    const alone = this.#pointed[0] ?? (this.stage.state.found === null ? null : walked?.number ?? null);
    for (const each of boxes.filter(({ number }, i) => (alone === null ? i < MASKED : number === alone)).reverse()) {
      for (let map = 0; map < maps; map++) {
        const tint = this.#mask(each, map);
        if (tint) pen.drawImage(tint.canvas, tint.x, tint.y);
      }
    }
  }

  /** Return a mask's colours, nothing until they arrive. @param {Detection} each @param {number} map */
  #mask({ number, colour }, map) {
    const key = `${number} ${map}`, recording = this.#recording;
    if (this.#masks.has(key)) return this.#masks.get(key);
    this.#masks.set(key, null);
    this.stage.questions.once("mask", { detection: number, map }).then((mask) => {
      if (recording !== this.#recording) return;
      this.#masks.set(key, maskTint(mask, colour));
      this.paint();
    }, () => {});
  }

  /** @param {DetectionList} list @param {Seen} seen @param {number} rows @param {number} columns */
  #boxes(list, { boxes, low, walked }, rows, columns) {
    const loud = this.#pointed[0] ?? walked?.number ?? null, { station } = this.filmstrip;
    const area = (/** @type {Detection} */ { box: [a, b, c, d] }) => (c - a) * (d - b);
    const finite = [...boxes, ...low].filter(({ box }) => box.every(Number.isFinite)).sort((a, b) => area(b) - area(a)); // small ones on top
    const bones = boxes.filter(({ points, number }) => points.length && (this.stage.state.found === null || number === loud));
    return html`${finite.map((each) => html`<button tabindex="-1" aria-hidden="true" data-found=${each.number} class="pv-box ${low.includes(each) ? "low" : ""} ${each.number === loud ? "loud" : "faint"}"
        .style=${`${within(each.box, rows, columns)};color:rgb(${each.colour})`} @click=${() => this.#open(each)} @pointerenter=${() => this.#point(each.number, null)}>${each.number === loud ? html`<span
        class="pv-tag ${each.box[1] < 0.08 * rows ? "inside" : ""} ${each.box[0] > 0.6 * columns ? "left" : ""}" .style=${`background:rgb(${each.colour})`}>${each.label} ${each.text}</span>` : nothing}</button>`)}
      ${bones.length ? html`<svg class="pv-bones" viewBox="0 0 ${columns} ${rows}" aria-hidden="true">${bones.map(({ points }) => skeleton(points, list))}</svg>` : nothing}
      ${station?.box ? html`<div class="pv-spot ${station.link === "chosen" ? "chosen" : ""}" .style=${within(station.box, rows, columns)}></div>` : nothing}`;
  }

  /** A pixel is pointed at, moved to with arrows, and opened. @param {SegmentList} segments */
  #pixels({ size, classes }) {
    const { place: [row, column] } = this.pixel;
    const inside = (/** @type {number[]} */ place) => place.map((at, axis) => Math.max(0, Math.min(size[axis] - 1, Math.floor(at))));
    const under = (/** @type {MouseEvent & { currentTarget: HTMLElement }} */ { clientX, clientY, currentTarget }) => {
      const { left, top, width, height } = currentTarget.getBoundingClientRect();
      return inside([((clientY - top) * size[0]) / height, ((clientX - left) * size[1]) / width]);
    };
    return html`<div class="pv-pixels" role="button" tabindex="0" aria-label="Row ${row}, column ${column}; arrows move to another pixel" @click=${(event) => this.pixel.pick(under(event))} @pointermove=${(event) => {
      const [y, x] = under(event), label = this.#codes?.[y * size[1] + x];
      this.stage.say(`Row ${y}, column ${x} is “${classes.find((each) => each.label === label)?.name}”. Click it to see the scores of all classes there.`);
    }} @keydown=${(event) => {
      const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key], far = event.shiftKey ? 10 : 1;
      if (!by || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.pixel.pick(inside([row + far * by[0], column + far * by[1]]));
    }}></div><div class="pv-spot" .style=${within([column, row, column + 1, row + 1], size[0], size[1])}></div>`;
  }

  /** @param {number | null} found @param {number | null} label */
  #point(found, label) {
    if (String([found, label]) === String(this.#pointed)) return;
    this.#pointed = [found, label];
    this.paint();
  }

  /** @param {Detection} each */
  #open({ number }) {
    return this.stage.go({ found: number, station: null });
  }

  // What stands beside it

  /** A line of the list: its detection or its class. @param {number | null} found @param {number | null} label @param {number[]} colour @param {string} name @param {number} part of 1 @param {string} text @param {() => void} act @param {{ pressed?: boolean, low?: boolean }} [how] */
  #line(found, label, colour, name, part, text, act, { pressed, low } = {}) {
    const hot = String([found, label]) === String(this.#pointed);
    return html`<button class="pv-line ${hot ? "hot" : ""}" title=${label === null ? nothing : "To where its score is the largest"} aria-pressed=${pressed ?? nothing} data-found=${found ?? nothing} @click=${act}
      @pointerenter=${() => this.#point(found, label)} @pointerleave=${() => this.#point(null, null)}><i class="pv-swatch ${low ? "low" : ""}" .style=${`color:rgb(${colour})`}></i><span>${name}</span>
      <span class="pv-bar" aria-hidden="true"><i .style=${`width:${100 * (part || 0)}%`}></i></span><span class="n">${text}</span></button>`;
  }

  /** @param {Seen} seen */
  #lines({ boxes, low, walked }) {
    const all = [...boxes, ...low], shown = all.filter((each, i) => i < LISTED || each === walked);
    return html`${shown.map((each) => this.#line(each.number, null, each.colour, each.label, each.score, each.text, () => this.#open(each), { pressed: each === walked, low: low.includes(each) }))}
      ${all.length > shown.length ? html`<p class="soft">${all.length - shown.length} more, on the picture</p>` : nothing}
      ${low.length ? html`<p class="soft">Dotted boxes scored too little to be reported.</p>` : nothing}`;
  }

  /** @param {SegmentList} segments */
  #legend({ classes }) {
    return classes.slice(0, LISTED).map((each) => this.#line(null, each.label, each.colour, each.name, each.share, share(each.share), () => this.pixel.pick(each.index.slice(-2))));
  }

  /** @param {DetectionList} detections @param {Seen} seen */
  #found({ best, count, sentence }, { boxes, from }) {
    if (!count) return sentence;
    const sure = boxes.filter((each) => each.score >= from / 100).length;
    return `${sure ? `${sure} ${sure === 1 ? "box" : "boxes"}` : "No box"} scored ${from} % or more; the best of ${count} is “${best[0].label}”, ${best[0].text}. Click one to walk it back to the pixels.`;
  }
}

/** Return where a box of the picture lies, as a style. @param {number[]} box @param {number} rows @param {number} columns */
const within = ([left, top, right, bottom], rows, columns) => `left:${(100 * left) / columns}%;top:${(100 * top) / rows}%;width:${(100 * (right - left)) / columns}%;height:${(100 * (bottom - top)) / rows}%`;

/** @param {Detection["points"]} points @param {DetectionList} list */
const skeleton = (points, { limbs, points: names }) => svg`${limbs.filter(([a, b]) => points[a][2] && points[b][2]).map(([a, b, colour]) => svg`<line x1=${points[a][0]} y1=${points[a][1]}
    x2=${points[b][0]} y2=${points[b][1]} stroke="rgb(${colour})"></line>`)}
  ${points.map(([x, y, sure], k) => (sure ? svg`<line class="joint" x1=${x} y1=${y} x2=${x} y2=${y}><title>${names[k] ?? `point ${k}`}</title></line>` : nothing))}`;

/** @param {number} part of 1 */
const share = (part) => (part > 0 && part < 0.0005 ? "< 0.1 %" : percent(part));
