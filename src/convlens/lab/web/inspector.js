// What is known of the number that is open: where it lies, what it sees, why its map has this size, where it is written.

import { html, nothing, render } from "./vendor/lit-html.js";
import { axisNames } from "./net.js";
import { count, percent, plural, shapeText, short, span, volume } from "./numbers.js";
import { Part } from "./part.js";
import { described, whySize } from "./parts/steps.js";
import { placeIn, rangeOf, sizeOf } from "./sheet.js";

/** @typedef {{ count: number, low: number, high: number, mean: number, zeros: number, nans: number, infinite: number }} Facts of some numbers, as `StatisticsRow` has them */

/** Return the facts of the numbers of a map. @param {ArrayLike<number>} numbers @returns {Facts} */
export function factsOf(numbers) {
  let low = NaN, high = NaN, sum = 0, zeros = 0, nans = 0, infinite = 0;
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
  const odd = [nans && `${count(nans)} NaN`, infinite && `${count(infinite)} infinite`].filter(Boolean).join(", ");
  if (Number.isNaN(low)) return odd || "no numbers";
  if (all === 1) return short(low);
  return `${low === high ? `every number is ${short(low)}` : `${short(low)} to ${short(high)}, mean ${short(mean)}${zeros ? `, ${percent(zeros / all)} zero` : ""}`}${odd && `; ${odd}`}`;
}

export class Inspector extends Part {
  /** What is said of large things. @type {WeakMap<object, string>} */ #said = new WeakMap();

  /** @param {Stage} stage */
  constructor(stage) {
    super(stage, "inspector");
  }

  draw() {
    const { net, stage: { state: { index, near }, value } } = this;
    if (!value || !index || near === "network") return render(nothing, this.el);
    const step = net.maker(value.id), sheet = near === "step" || (near === "window" && !step), why = step?.windows.length ? whySize(step.windows, step.family).map((text) => html`<div>${text}</div>`) : "";
    const rows = [...(sheet ? this.#whole(value, why, step) : [["Sees", this.#sees(step)], ["Why this size", why], ...this.#map(value)]), ["Step", step ? described(step, net) : ""], ...this.#written(value, step)];
    render(html`${sheet ? html`<h2>${net.title(value.id)}</h2>` : this.#number(value, index)}
      <dl>${rows.map(([name, text]) => (text ? html`<div><dt>${name}</dt><dd>${text}</dd></div>` : nothing))}</dl>`, this.el);
  }

  /** The number, large, and its place. @param {ValueRow} value @param {number[]} index */
  #number({ id }, index) {
    const { net, stage: { state, bench, changes, number, laid: all } } = this, laid = state.near === "window" ? all : null, x = laid ? laid.recorded(bench.place) : number.answer?.explanation?.recorded;
    return html`<p class="large">${x === undefined ? "" : short(x)}</p>${laid && state.way === "feeds" ? changes.difference(laid, bench.place) : nothing}<p class="soft">${net.title(id)}, ${net.spot(id, index)}</p>`;
  }

  /** The part of the input that the number depends on: exact once it is open, while it moves its box. @param {StepRow | undefined} step */
  #sees(step) {
    const { net, stage: { state, number, strip } } = this, input = net.told.picture_value ?? net.told.inputs[0];
    if (!step || input === undefined || (state.way === "feeds" && state.from)) return "";
    const region = state.near === "number" ? number.answer?.region : null, { shape } = net.value(input), box = region?.box ?? strip.fields.get(input)?.box;
    if (!box) return "";
    const seen = region?.count ?? volume(box.map(([low, high]) => high - low)), all = volume(region?.space ?? shape.slice(shape.length - box.length));
    const what = `${net.isPicture(input) ? "pixels" : "places"} of ${net.said(input)}`;
    const gaps = region ? region.warning : net.steps.some(({ windows }) => windows.some((w) => w.dilation > 1 || w.size < w.stride || w.transposed));
    return seen === all ? `all ${count(all)} ${what}` : `${gaps ? "up to " : ""}${count(seen)} of ${count(all)} ${what}: ${boxText(box)}`;
  }

  /** The statistics of the map that is open. @param {ValueRow} value @returns {[string, string][]} */
  #map({ id }) {
    const { net, stage: { state, laid, number } } = this, found = state.near === "number" ? number.answer?.facts : null;
    if (found) return [[title(net.map(id, found.number)), found.map.count > 1 ? factsText(found.map) : ""],
      ["All maps", found.maps > 1 ? `${factsText(found.sample)}${found.constant ? `; ${count(found.constant)} of ${plural(found.maps, "map")} constant` : ""}` : ""]];
    if (state.near !== "window" || laid?.answer.value !== id || !laid.rank) return [];
    return [[title(net.map(id, laid.out.at.at(-1) ?? 0)), this.#once(laid.out.numbers, (numbers) => factsText(factsOf(numbers)))]];
  }

  /** What holds for all maps of a step. @param {ValueRow} value @param {Shown[] | string} why @param {StepRow} [step] @returns {[string, Shown | Shown[]][]} */
  #whole({ id, shape, dtype }, why, step) {
    const { out } = this.stage.sheet;
    return [["Shape", `${shape.length > 2 ? `${shapeText(shape)}, ` : ""}${plural(volume(shape), "number")} of ${dtype}`], ["Why this size", why],
      ...(out?.value === id ? /** @type {[string, string][]} */ ([["Health", this.#once(out, health)], this.#pointed(id, out)]) : []),
      ["Weights", step?.weights ? plural(step.weights, "number") : ""], ["Multiply–adds", step?.multiply_adds ? count(step.multiply_adds) : ""], ["Time", step ? `${short(step.seconds * 1000)} ms` : ""]];
  }

  /** The map pointed at. @param {number} id @param {SheetAnswer} out */
  #pointed(id, out) {
    const { index } = this.stage.state;
    if (!out.exact || !out.maps || !index) return ["", ""];
    const { size, maps } = sizeOf(out), { map } = placeIn(out, index);
    return [title(maps > 1 ? this.net.map(id, map) || `map ${map}` : ""), factsText(factsOf(out.exact.subarray(map * size, (map + 1) * size)))];
  }

  /** Where it is written, and by which name Python knows it. @param {ValueRow} value @param {StepRow} [step] @returns {[string, Shown][]} */
  #written(value, step) {
    const { state: { near, index }, number } = this.stage, found = near === "number" ? number.answer?.explanation : null, source = step?.source;
    const name = `"${value.name}"${near === "step" ? "" : `, (${(index ?? []).join(", ")}${index?.length === 1 ? "," : ""})`}`;
    return [["Written", source ? html`<code>${source.text}</code><br>${source.file}:${source.line}` : ""],
      ["In Python", html`<code>${name}</code> <button type="button" class="quiet copy" title="Copy for explain(recording, …)" @click=${() => navigator.clipboard?.writeText(name)}>Copy</button>`],
      ["Note", (found && ["sum", "function"].includes(found.rule) ? found.note : step?.note) ?? ""]];
  }

  /** Say something of an object, or what was said before. @template {object} T @param {T} about @param {(about: T) => string} say */
  #once(about, say) {
    const text = this.#said.get(about) ?? say(about);
    this.#said.set(about, text);
    return text;
  }
}

/** Return whether all maps of a sheet vary, or which do not. @param {SheetAnswer} sheet */
function health(sheet) {
  const { maps: all, size } = sizeOf(sheet), odd = sheet.codes.includes(0) ? "some numbers are not finite; " : "";
  if (!all) return "no numbers";
  const still = [...Array(size > 1 ? all : 0).keys()].filter((map) => {
    const [low, high] = rangeOf(sheet, map);
    return low === high;
  });
  if (all === 1) return odd + (still.length ? "all its numbers are equal" : "its numbers vary");
  if (!still.length) return `${odd}every map varies`;
  return `${odd}${plural(still.length, "map")} of ${count(all)} ${still.length === 1 ? "is" : "are"} constant: ${still.slice(0, 12).join(", ")}${still.length > 12 ? " …" : ""}`;
}

/** A map's name as a heading. @param {string} name */
const title = (name) => (name ? name[0].toUpperCase() + name.slice(1) : "Its numbers");

/** Return a box in words: "rows 5–7, columns 3–5". @param {[number, number][]} box */
const boxText = (box) => box.map(([low, high], axis) => `${axisNames(box.length)[axis]}${high - low > 1 ? "s" : ""} ${span(low, high)}`).join(", ");
