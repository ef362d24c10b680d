// What is known of the number that is open: where it lies, what it sees, why its map has this size, where it is written.

import { html, nothing, render } from "./vendor/lit-html.js";
import { axes } from "./net.js";
import { count, percent, plural, shapeText, short, span } from "./numbers.js";
import { described, whySize } from "./parts/steps.js";
import { placeIn, rangeOf, sizeOf } from "./sheet.js";

/**
 * @typedef {import("./answers.js").StepRow} StepRow
 * @typedef {import("./answers.js").ValueRow} ValueRow
 * @typedef {import("./answers.js").SheetAnswer} Sheet
 * @typedef {{ count: number, low: number, high: number, mean: number, zeros: number, nans: number, infinite: number }} Facts of some numbers, as `StatisticsRow` has them
 */

/** Return the facts of the numbers of a map. @param {ArrayLike<number>} numbers @returns {Facts} */
export function factsOf(numbers) {
  let [low, high, sum, zeros, nans, infinite] = [NaN, NaN, 0, 0, 0, 0];
  for (let i = 0; i < numbers.length; i++) {
    const x = numbers[i];
    if (Number.isNaN(x)) nans++;
    else if (!Number.isFinite(x)) infinite++;
    else {
      if (!(x >= low)) low = x;
      if (!(x <= high)) high = x;
      if (x === 0) zeros++;
      sum += x;
    }
  }
  return { count: numbers.length, low, high, mean: sum / (numbers.length - nans - infinite), zeros, nans, infinite };
}

/** @param {Facts} facts */
function factsText({ low, high, mean, zeros, nans, infinite, count: all }) {
  const odd = [[nans, "NaN"], [infinite, "infinite"]].flatMap(([n, name]) => (n ? [`${count(Number(n))} ${name}`] : [])).join(", ");
  if (Number.isNaN(low)) return odd || "no numbers";
  if (all === 1) return short(low);
  const text = low === high ? `every number is ${short(low)}` : `${short(low)} to ${short(high)}, mean ${short(mean)}${zeros ? `, ${percent(zeros / all)} zero` : ""}`;
  return odd ? `${text}; ${odd}` : text;
}

export class Inspector {
  /** @type {WeakMap<object, Facts>} */ #facts = new WeakMap();
  /** @type {WeakMap<object, string>} */ #healths = new WeakMap();

  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    this.stage = stage;
    this.el = stage.at("inspector");
  }

  draw() {
    const { net, state, value } = this.stage;
    if (!value || !state.index || state.near === "network") return render(nothing, this.el);
    const step = net.maker(value.id);
    const sheet = state.near === "step" || (state.near === "window" && !step);
    render(html`${sheet ? html`<h2>${net.title(value.id)}</h2>` : this.#number(value)}
      <dl>${sheet ? this.#whole(value, step) : html`${this.#sees(step)}${row("Why this size", step?.windows.length ? lines(whySize(step.windows, step.family)) : nothing)}${this.#map(value)}`}
        ${step ? row("Step", described(step, net)) : nothing}${this.#written(value, step)}</dl>`, this.el);
  }

  /** The number, large, and its place. @param {ValueRow} value */
  #number(value) {
    const { net, state, bench, changes, number } = this.stage;
    const laid = state.near === "window" ? this.stage.laid : null;
    const index = state.index ?? [];
    const x = laid ? laid.recorded(bench.place) : number.answer?.explanation?.recorded;
    return html`<p class="large">${x === undefined ? "" : short(x)}</p>${laid ? changes.difference(laid, bench.place) : nothing}
      <p class="soft">${net.title(value.id)}, ${net.spot(value.id, index)}</p>`;
  }

  /** The part of the input that the number depends on: exact once it is open, while it moves its box. @param {StepRow | undefined} step */
  #sees(step) {
    const { net, state, number, strip } = this.stage;
    const input = net.told.picture_value ?? net.told.inputs[0];
    if (!step || input === undefined || (state.way === "feeds" && state.from)) return nothing;
    const region = state.near === "number" ? number.answer?.region : null;
    const field = strip.fields.get(input);
    if (!region && !field) return nothing;
    const { shape } = net.value(input);
    const box = region?.box ?? field?.box ?? [];
    const area = (/** @type {number[]} */ sides) => sides.reduce((a, b) => a * b, 1);
    const seen = region?.count ?? area(box.map(([low, high]) => high - low));
    const all = area(region?.space ?? shape.slice(shape.length - box.length));
    const what = `${net.isPicture(input) ? "pixels" : "places"} of ${net.said(input)}`;
    return row("Sees", seen === all ? `all ${count(all)} ${what}` : `${region ? (region.warning ? "up to " : "") : this.#dense ? "" : "up to "}${count(seen)} of ${count(all)} ${what}: ${boxText(box)}`);
  }

  /** Whether windows leave no gaps, so that all of a box is seen. */
  get #dense() {
    return this.stage.net.steps.every((step) => step.windows.every((w) => w.dilation === 1 && w.size >= w.stride && !w.transposed));
  }

  /** The statistics of the map that is open. @param {ValueRow} value */
  #map(value) {
    const { net, state, laid, number } = this.stage;
    const found = state.near === "number" ? number.answer?.facts : null;
    if (found) {
      const name = net.map(value.id, found.number);
      return html`${found.map.count > 1 ? row(title(name), factsText(found.map)) : nothing}${found.maps > 1 ? row("All maps", `${factsText(found.sample)}${found.constant ? `; ${count(found.constant)} of ${plural(found.maps, "map")} constant` : ""}`) : nothing}`;
    }
    if (state.near !== "window" || laid?.answer.value !== value.id || !laid.rank) return nothing;
    return row(title(net.map(value.id, laid.out.at.at(-1) ?? 0)), factsText(kept(this.#facts, laid.out.numbers, factsOf)));
  }

  /** What holds for all maps of a step. @param {ValueRow} value @param {StepRow | undefined} step */
  #whole(value, step) {
    const numbers = value.shape.reduce((a, b) => a * b, 1);
    const { out } = this.stage.sheet;
    return html`${row("Shape", `${value.shape.length > 2 ? `${shapeText(value.shape)}, ` : ""}${plural(numbers, "number")} of ${value.dtype}`)}
      ${step?.windows.length ? row("Why this size", lines(whySize(step.windows, step.family))) : nothing}
      ${out?.value === value.id ? html`${row("Health", kept(this.#healths, out, health))}${this.#pointed(value, out)}` : nothing}
      ${step ? html`${step.weights ? row("Weights", plural(step.weights, "number")) : nothing}${step.multiply_adds ? row("Multiply–adds", count(step.multiply_adds)) : nothing}${row("Time", `${short(step.seconds * 1000)} ms`)}` : nothing}`;
  }

  /** @param {ValueRow} value @param {Sheet} out */
  #pointed(value, out) {
    const { net, state } = this.stage;
    if (!out.exact || !out.maps || !state.index) return nothing;
    const { size, maps } = sizeOf(out);
    const { map } = placeIn(out, state.index);
    return row(title(maps > 1 ? net.map(value.id, map) || `map ${map}` : ""), factsText(factsOf(out.exact.subarray(map * size, (map + 1) * size))));
  }

  /** Where it is written, and by which name Python knows it. @param {ValueRow} value @param {StepRow | undefined} step */
  #written(value, step) {
    const { near } = this.stage.state;
    const index = near === "step" ? "" : `, (${(this.stage.state.index ?? []).join(", ")}${this.stage.state.index?.length === 1 ? "," : ""})`;
    const found = near === "number" ? this.stage.number.answer?.explanation : null;
    const note = found && ["sum", "function"].includes(found.rule) ? found.note : step?.note;
    const name = `"${value.name}"${index}`;
    return html`${step?.source ? row("Written", html`<code>${step.source.text}</code><br>${step.source.file}:${step.source.line}`) : nothing}
      ${row("In Python", html`<code>${name}</code> <button type="button" class="quiet copy" title="Copy for explain(recording, …)" @click=${() => navigator.clipboard?.writeText(name)}>Copy</button>`)}
      ${note ? row("Note", note) : nothing}`;
  }
}

/** Return whether all maps of a sheet vary, or which do not. @param {Sheet} sheet */
function health(sheet) {
  const { maps: all, size } = sizeOf(sheet);
  if (!all) return "no numbers";
  const odd = sheet.codes.includes(0) ? "some numbers are not finite; " : "";
  const still = Array.from({ length: size > 1 ? all : 0 }, (_, map) => map).filter((map) => {
    const [low, high] = rangeOf(sheet, map);
    return low === high;
  });
  if (all === 1) return odd + (still.length ? "all its numbers are equal" : "its numbers vary");
  if (!still.length) return `${odd}every map varies`;
  return `${odd}${plural(still.length, "map")} of ${count(all)} ${still.length === 1 ? "is" : "are"} constant: ${still.slice(0, 12).join(", ")}${still.length > 12 ? " …" : ""}`;
}

/** Return what was made of an object before, or make it. @template {object} K @template V @param {WeakMap<K, V>} made @param {K} from @param {(from: K) => V} make @returns {V} */
function kept(made, from, make) {
  const had = made.get(from) ?? make(from);
  made.set(from, had);
  return had;
}

/** A map's name as a heading. @param {string} name */
const title = (name) => (name ? name[0].toUpperCase() + name.slice(1) : "Its numbers");

/** @param {string} name @param {unknown} text */
function row(name, text) {
  return text === nothing ? nothing : html`<div><dt>${name}</dt><dd>${text}</dd></div>`;
}

/** @param {string[]} texts */
const lines = (texts) => texts.map((text) => html`<div>${text}</div>`);

/** Return a box in words: "rows 5–7, columns 3–5". @param {[number, number][]} box */
function boxText(box) {
  return box.map(([low, high], axis) => {
    const name = axes(box.map(() => 0)).split(", ")[axis].replace(" 0", "");
    return `${name}${high - low > 1 ? "s" : ""} ${span(low, high)}`;
  }).join(", ");
}
