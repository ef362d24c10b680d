// What is known of the number that is open: where it lies, what it sees, why its map has this size, where it is written.

import { html, nothing, render } from "./vendor/lit-html.js";
import { axes } from "./net.js";
import { count, percent, plural, shapeText, short, span } from "./numbers.js";
import { Fields } from "./parts/fields.js";
import { described, whySize } from "./parts/steps.js";
import { framesOf, mapIn, rangeOf } from "./sheet.js";

/**
 * @typedef {import("./answers.js").StepRow} StepRow
 * @typedef {import("./answers.js").ValueRow} ValueRow
 * @typedef {{ low: number, high: number, mean: number, zeros: number, odd: number, count: number }} Facts of the numbers of a map
 */

/** Return the facts of the numbers of a map. @param {ArrayLike<number>} numbers @returns {Facts} */
export function factsOf(numbers) {
  let [low, high, sum, zeros, odd] = [Infinity, -Infinity, 0, 0, 0];
  for (let i = 0; i < numbers.length; i++) {
    const x = numbers[i];
    if (!Number.isFinite(x)) { odd++; continue; }
    if (x < low) low = x;
    if (x > high) high = x;
    if (x === 0) zeros++;
    sum += x;
  }
  return { low, high, mean: sum / (numbers.length - odd), zeros, odd, count: numbers.length };
}

/** @param {Facts} facts */
function factsText({ low, high, mean, zeros, odd, count: all }) {
  const not = odd ? `; ${count(odd)} of ${count(all)} not finite` : "";
  if (odd === all) return "no number of it is finite";
  if (all === 1) return short(low);
  if (low === high) return `every number is ${short(low)}${not}`;
  return `${short(low)} to ${short(high)}, mean ${short(mean)}${zeros ? `, ${percent(zeros / all)} zero` : ""}${not}`;
}

export class Inspector {
  /** @type {Fields | null} */ #fields = null;
  /** @type {import("./net.js").Net | null} */ #net = null;
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
    render(html`${sheet ? html`<h2>${net.title(value.id)}</h2>` : this.#number(value, step)}
      <dl>${sheet ? this.#whole(value, step) : html`${this.#sees(value, step)}${row("Why this size", step?.windows.length ? lines(whySize(step.windows)) : nothing)}${this.#map(value)}`}
        ${step ? row("Step", described(step, net)) : nothing}${this.#written(value, step)}</dl>`, this.el);
  }

  /** The number, large, and its place. @param {ValueRow} value @param {StepRow | undefined} step */
  #number(value, step) {
    const { net, state, bench, changes, number } = this.stage;
    const laid = state.near === "window" ? this.stage.laid : null;
    const index = state.index ?? [];
    const x = laid ? laid.recorded(bench.place) : number.answer?.explanation?.recorded;
    return html`<p class="large">${x === undefined ? "" : short(x)}</p>${laid ? changes.difference(laid, bench.place) : nothing}
      <p class="soft">${net.title(value.id)}, ${net.spot(value.id, index)}</p>`;
  }

  /** The box of the input that the number depends on. @param {ValueRow} value @param {StepRow | undefined} step */
  #sees(value, step) {
    const { net, state } = this.stage;
    const input = net.told.picture_value ?? net.told.inputs[0];
    if (!step || input === undefined || !state.index) return nothing;
    if (this.#net !== net) [this.#net, this.#fields] = [net, new Fields(net)];
    const field = this.#fields?.of(value.id, state.index, "made").get(input);
    if (!field) return row("Sees", `nothing of ${net.said(input)}`);
    const shape = net.value(input).shape;
    const plane = shape.slice(shape.length - field.box.length);
    const area = (/** @type {number[]} */ sides) => sides.reduce((a, b) => a * b, 1);
    const [seen, all] = [area(field.box.map(([low, high]) => high - low)), area(plane)];
    const what = net.isPicture(input) ? "pixels" : "places";
    return row("Sees", field.whole ? `all ${count(all)} ${what} of ${net.said(input)}` : `${this.#dense() ? "" : "up to "}${count(seen)} of ${count(all)} ${what} of ${net.said(input)}: ${boxText(field.box)}`);
  }

  /** Whether windows leave no gaps, so that a box is seen in full. */
  #dense() {
    return this.stage.net.steps.every((step) => step.windows.every((w) => w.dilation === 1 && w.size >= w.stride));
  }

  /** The statistics of the map that is open. @param {ValueRow} value */
  #map(value) {
    const { net, state, laid } = this.stage;
    if (state.near !== "window" || !laid || laid.rank === 0) return nothing;
    const { numbers, at } = laid.out;
    const facts = kept(this.#facts, numbers, factsOf);
    const name = net.map(value.id, at.at(-1) ?? 0);
    return row(name ? name[0].toUpperCase() + name.slice(1) : "Its numbers", factsText(facts));
  }

  /** What holds for all maps of a step. @param {ValueRow} value @param {StepRow | undefined} step */
  #whole(value, step) {
    const numbers = value.shape.reduce((a, b) => a * b, 1);
    const { out } = this.stage.sheet;
    return html`${row("Shape", `${value.shape.length > 2 ? `${shapeText(value.shape)}, ` : ""}${plural(numbers, "number")} of ${value.dtype}`)}
      ${step?.windows.length ? row("Why this size", lines(whySize(step.windows))) : nothing}
      ${out?.value === value.id ? html`${row("Health", kept(this.#healths, out, health))}${this.#pointed(value, out)}` : nothing}
      ${step ? html`${step.weights ? row("Weights", plural(step.weights, "number")) : nothing}${step.multiply_adds ? row("Multiply–adds", count(step.multiply_adds)) : nothing}${row("Time", `${short(step.seconds * 1000)} ms`)}` : nothing}`;
  }

  /** @param {ValueRow} value @param {import("./answers.js").SheetAnswer} out */
  #pointed(value, out) {
    const { net, state } = this.stage;
    const size = out.rows * out.columns * framesOf(out);
    if (!out.exact || !out.maps || !state.index) return nothing;
    const map = mapIn(out, state.index);
    const name = out.maps > framesOf(out) ? net.map(value.id, map) || `map ${map}` : "its numbers";
    return row(name[0].toUpperCase() + name.slice(1), factsText(factsOf(out.exact.subarray(map * size, (map + 1) * size))));
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

/** Return whether all maps of a sheet vary, or which do not. @param {import("./answers.js").SheetAnswer} sheet */
function health(sheet) {
  const { codes, maps, rows, columns } = sheet;
  const frames = framesOf(sheet);
  const all = maps / frames;
  if (!all) return "no numbers";
  const odd = codes.includes(0) ? "some numbers are not finite; " : "";
  const still = Array.from({ length: all }, (_, map) => map).filter((map) => {
    const [low, high] = rangeOf(sheet, map);
    return rows * columns * frames > 1 && low === high;
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
