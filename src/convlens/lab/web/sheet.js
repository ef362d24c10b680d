// A step with all its maps: what comes in, beside the kernels of the map pointed at, and what goes out.

import { html, nothing, render } from "./vendor/lit-html.js";
import { largest } from "./colours.js";
import { segments } from "./frame.js";
import { ravel, short, unravel } from "./numbers.js";
import { Part } from "./part.js";
import { Bars } from "./parts/bars.js";
import { Maps } from "./parts/maps.js";
import { origin, sentence } from "./parts/steps.js";

/** @typedef {Omit<MapsShown, "sheet" | "frames" | "picture" | "shared">} How */

/** Return how many maps a sheet has, how many numbers each, and in how many frames, such as those of a clip. @param {SheetAnswer} sheet */
export function sizeOf({ axes, plane, shape, maps, rows, columns }) {
  const frames = axes.at(-plane - 1) === "frame" ? shape[shape.length - plane - 1] : 1;
  return { frames, maps: maps / frames, size: frames * rows * columns };
}

/** Return the index of a number by its map and its place there. @param {SheetAnswer} sheet @param {number} map @param {number} cell */
export function indexIn(sheet, map, cell) {
  const { shape, sliced, first } = sheet, position = map * sizeOf(sheet).size + cell;
  return sliced ? [first, ...unravel(position, shape.slice(1))] : unravel(position, shape);
}

/** Return the place of an index on a sheet, and the map that it lies on. @param {SheetAnswer} sheet @param {number[]} index */
export function placeIn(sheet, index) {
  const from = sheet.sliced ? 1 : 0, at = ravel(index.slice(from), sheet.shape.slice(from));
  return { at, map: Math.floor(at / sizeOf(sheet).size) };
}

/** Return the least and the largest number of a map, NaN where none is finite. @param {SheetAnswer} sheet @param {number} map */
export function rangeOf(sheet, map) {
  const { low, high, codes, rows, columns } = sheet, { frames } = sizeOf(sheet), size = rows * columns;
  const finite = Array.from({ length: frames }, (_, i) => map * frames + i).filter((i) => low[i] || high[i] || codes.subarray(i * size, (i + 1) * size).some(Boolean));
  return finite.length ? [Math.min(...finite.map((i) => low[i])), Math.max(...finite.map((i) => high[i]))] : [NaN, NaN];
}

/** Return the place of a map's number of the largest size. @param {SheetAnswer} sheet @param {number} map */
export function strongest(sheet, map) {
  const { rows, columns, exact, codes, low, high } = sheet, { size } = sizeOf(sheet);
  let best = 0, most = -1;
  for (let i = 0, at = map * size; i < size; i++, at++) {
    const each = Math.floor(at / rows / columns), x = Math.abs(exact ? exact[at] : codes[at] && low[each] + ((codes[at] - 1) / 254) * (high[each] - low[each]));
    if (x > most) [best, most] = [i, x];
  }
  return best;
}

/** One value's maps, or its few numbers as named bars. */
class Seat {
  id = -1;
  bar = false;
  /** @type {SheetAnswer | null} */ sheet = null;

  /** @param {string} label @param {(map: number, cell: number) => void} over @param {(map: number, cell: number) => void} press */
  constructor(label, over, press) {
    this.maps = new Maps(label, over, press);
    this.bars = new Bars(label, { over: ([i]) => over(0, i), press: ([i]) => press(0, i) });
  }

  get el() {
    return (this.bar ? this.bars : this.maps).el;
  }

  /** @param {Net} net @param {number} id @param {SheetAnswer} sheet */
  take(net, id, sheet) {
    const { exact, maps, rows, columns, plane } = sheet;
    return Object.assign(this, { id, sheet, bar: Boolean(exact && maps === 1 && rows === 1 && plane > 0 && columns <= 1000 && (columns <= 16 || net.category(id, 0) !== null)) });
  }

  /** @param {Stage} stage @param {How} how */
  show({ net, state }, how) {
    const { sheet, id } = this;
    if (!sheet?.maps) return;
    if (this.bar) this.bars.show({ role: "", at: [], shape: [sheet.columns], numbers: /** @type {Float32Array} */ (sheet.exact), value: id }, net, Math.min(how.room.width, 420));
    else this.maps.show({ sheet, frames: sizeOf(sheet).frames, picture: net.isPicture(id), shared: state.scale === "step", ...how });
  }
}

export class SheetView extends Part {
  /** @type {Seat[]} */ #from = [];
  /** @type {Seat[]} */ #seats = [];
  /** @type {{ key: string, answer: KernelsAnswer | null }} */ #kernels = { key: "", answer: null };
  /** Whether kernels stand beside the maps that come in. */ #paired = false;
  #map = 0;

  /** @param {Stage} stage */
  constructor(stage) {
    super(stage, "sheet", "The maps of the step");
    this.to = new Seat("what goes out", (map, cell) => this.#over(map, cell), (map, cell) => this.#open(map, cell));
  }

  /** The sheet of what goes out. */
  get out() {
    return this.to.sheet;
  }

  /** @param {() => boolean} current */
  async draw(current) {
    const { net, stage: { state: { index }, questions, value } } = this;
    if (!value) return;
    const step = net.maker(value.id), from = [...new Set(step?.x.map((id) => origin(net, id)))].slice(0, 8);
    const wanted = (/** @type {number} */ id) => {
      const { shape, kind } = net.value(id), sliced = shape.length > 2 && (kind === "parameter" || shape.length - net.spatial(id) > 1);
      return { value: id, first: sliced && index ? Math.min(index[0], shape[0] - 1) : 0 };
    };
    const paired = step && step.weight !== null && (step.family === "conv" || step.family === "transposed") && index, map = paired ? paired[paired.length - net.spatial(value.id) - 1] : 0;
    const key = `${questions.recording} ${value.id}`, had = this.#kernels.key === key && this.#kernel(map);
    const asked = questions.sheets([value.id, ...from].map(wanted), paired && !had ? { value: value.id, map } : null);
    const [out, ...given] = await Promise.all(asked.sheets.map((each, i) => (i ? each.catch(() => null) : each))), kernels = await asked.kernels?.catch(() => null);
    if (!current() || !out) return;
    if (asked.kernels) this.#kernels = { key, answer: kernels ?? null };
    this.to.take(net, value.id, out);
    this.#map = out.maps && index ? placeIn(out, index).map : 0;
    this.#from = given.flatMap((found, i) => (found ? [(this.#seats[i] ??= new Seat("what comes in", () => {}, (map, cell) => this.#into(i, map, cell))).take(net, from[i], found)] : []));
    this.#paired = Boolean(paired && out.maps && this.#from.length);
    this.stage.say(sentence(net, value.id, matchMedia("(hover: none)").matches ? " Tap a map to open it." : " Point at a map to see its kernel."));
    this.#layout(out);
    this.#point(this.#map);
  }

  /** @param {SheetAnswer} out */
  #layout(out) {
    const { stage, net, to } = this, { state, room: width } = stage, { maps } = sizeOf(out), lines = this.#from.length, narrow = width < 700, stacked = narrow || !lines;
    const height = Math.max(280, stage.height - stage.at("body").offsetTop - 100), left = stacked ? width : Math.round(this.#paired ? Math.min(0.42 * (width - 24), 440) : (width - 24) * (to.bar ? 0.6 : 0.46));
    const caption = (/** @type {number} */ id) => html`<b>${net.title(id)}</b> <span class="soft">${net.shape(id)}</span>`;
    render(html`<div class="two ${narrow ? "stacked" : ""}">
      ${lines ? html`<div class="from">${this.#from.map(({ id, el }, i) => html`<figure><figcaption>${caption(id)}
        ${!i && this.#paired ? html`<span class="soft">×</span> <b class="which"></b>` : nothing}</figcaption>${el}</figure>`)}</div>` : nothing}
      <figure class="to"><figcaption>${caption(to.id)} <span class="named"></span></figcaption>${maps ? to.el : html`<p class="soft">It has no numbers: one of its axes has length 0.</p>`}
        <div class="tools">${this.#samples(out)}<span class="push"></span>
        ${maps > 1 ? segments("Colours", /** @type {const} */ ([["unit", "a scale for each"], ["step", "one for all"]]), state.scale, (scale) => stage.go({ scale })) : nothing}
        ${to.bar || !maps ? nothing : /** @type {const} */ ([[-1, "−", "Smaller maps"], [1, "+", "Larger maps"]]).map(([by, sign, label]) => html`<button type="button" class="icon" aria-label=${label} title=${label}
          @click=${() => stage.go({ zoom: Math.max(-12, Math.min(12, state.zoom + by)) })}>${sign}</button>`)}</div></figure></div>`, this.el);
    const tall = Math.max(120, narrow ? 210 / lines : (height - 32 * (lines - 1)) / lines);
    this.#from.forEach((seat, i) => seat.show(stage, { room: { width: left, height: tall }, zoom: 0, most: this.#paired ? 4 : narrow ? 6 : undefined, ...(i ? {} : this.#beside()) }));
    const across = width < 500 && !state.zoom && out.rows > 1 && maps > 1 ? Math.min(3, maps) : undefined;
    to.show(stage, { room: { width: stacked ? width : width - 24 - left, height: narrow ? Math.max(300, stage.height * 0.6) : height }, zoom: state.zoom, across });
  }

  /** The answer that has the kernel of a map. @param {number} map */
  #kernel(map) {
    const { answer } = this.#kernels;
    return answer && map >= answer.first && map < answer.first + answer.maps ? answer : null;
  }

  /** The kernels beside the maps that come in: only those of their group. @returns {Pick<MapsShown, "kernel" | "first" | "count">} */
  #beside() {
    const found = this.#paired ? this.#kernel(this.#map) : null;
    if (!found) return this.#paired ? { kernel: () => null } : {};
    const { channels, columns, outputs, numbers: exact, codes } = found, rows = found.frames * found.rows, size = rows * columns, first = Math.floor(this.#map / outputs) * channels;
    const begin = (this.#map - found.first) * channels * size, end = begin + channels * size;
    const numbers = exact?.subarray(begin, end) ?? Float32Array.from(codes?.subarray(begin, end) ?? [], (code) => (code ? code - 128 : NaN)), span = largest(numbers) || 1;
    return { kernel: (map) => ({ numbers, start: (map - first) * size, rows, columns, span, exact: exact !== null }), first, count: channels };
  }

  /** Turn to another sample of a batch, or another kernel. @param {SheetAnswer} out */
  #samples(out) {
    const { axes: [axis], shape: [all], first } = out;
    if (!out.sliced || all < 2) return nothing;
    const turn = (/** @type {number} */ by, /** @type {string} */ sign, /** @type {string} */ label) => html`<button type="button" class="quiet" aria-label="${label} ${axis}"
      @click=${() => this.stage.go({ index: [(first + by + all) % all, ...indexIn(out, this.#map, 0).slice(1)] })}>${sign}</button>`;
    return html`<span class="picker">${axis} ${turn(-1, "‹", "previous")}${first}${turn(1, "›", "next")} <span class="soft">of ${all}</span></span>`;
  }

  // Pointing and opening

  /** Show what belongs to a map; nothing is asked. @param {number} map @param {number} cell */
  #over(map, cell) {
    const { out, stage } = this;
    if (!out || stage.value?.id !== this.to.id) return;
    stage.move({ index: this.#index(out, map, cell) });
    this.#point(map);
  }

  /** Where pointing at a map leads: to its strongest number; on a single map to the one pointed at. @param {SheetAnswer} sheet @param {number} map @param {number} cell */
  #index(sheet, map, cell) {
    const one = sizeOf(sheet).maps === 1, { index } = this.stage.state;
    return one && cell < 0 && index ? index : indexIn(sheet, map, one ? cell : strongest(sheet, map));
  }

  /** @param {number} map */
  #point(map) {
    const { out, to, net, stage: { state: { index } } } = this;
    if (!out?.maps || !index) return;
    const { maps, frames } = sizeOf(out), [low, high] = rangeOf(out, map), exact = out.exact?.[placeIn(out, index).at];
    this.#map = map;
    to.maps.choose(map);
    to.bars.light({ cells: [[index.at(-1) ?? 0]] });
    const name = net.value(to.id).kind === "parameter" ? `${out.axes.at(-out.plane - (frames > 1 ? 2 : 1))} ${map}` : net.map(to.id, map) || `map ${map}`;
    const put = (/** @type {string} */ where, /** @type {unknown} */ what) => { const el = /** @type {HTMLElement | null} */ (this.el.querySelector(where)); if (el) render(what, el); };
    put(".named", maps > 1 ? html`<b>${name}</b> <span class="soft">${Number.isNaN(low) ? "NaN" : `${short(low)} to ${short(high)}`}</span>` : html`<b>${net.spot(to.id, index)}</b> ${exact === undefined ? nothing : short(exact)}`);
    put(".which", `kernel ${map}`);
    const joined = net.maker(to.id)?.family === "concat";
    this.#from.forEach(({ maps: shown, sheet }, i) => (this.#paired && !i ? shown.turn(this.#beside()) : shown.choose(sheet && sizeOf(sheet).maps === maps && !joined ? map : -1)));
  }

  /** Open a map at its window. @param {number} map @param {number} cell */
  #open(map, cell) {
    const { out, stage } = this;
    if (out && stage.value?.id === out.value) stage.go({ index: this.#index(out, map, cell), channel: null, near: this.net.maker(out.value) ? "window" : "number" });
  }

  /** Open the window of the map pointed at, on one of the maps that come in; else that map's own step. @param {number} i @param {number} map @param {number} cell */
  #into(i, map, cell) {
    const { stage, net, out } = this, { id, sheet } = this.#from[i];
    if (!out || !sheet) return;
    if (this.#paired && !i) return stage.go({ index: indexIn(out, this.#map, strongest(out, this.#map)), channel: map, near: "window" });
    return stage.go({ at: net.value(id).name, index: this.#index(sheet, map, cell), near: net.maker(id) ? "window" : "step" });
  }
}
