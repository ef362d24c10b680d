// The single number: what it is made of on the left, what it feeds on the right; every line opens again.

import { html, nothing, render } from "./vendor/lit-html.js";
import { largest } from "./colours.js";
import { full, percent, plural, ravel, rough, short, unravel } from "./numbers.js";
import { Part } from "./part.js";
import { folded, ranked } from "./parts/ranking.js";

/** @typedef {{ value: number, position: number, how: Shown, x: number, product: number, faint: boolean }} Row an element that opens, `x` its bar */

const LISTED = 9; // lines before the others are unfolded

export class NumberView extends Part {
  /** @type {import("./answers.js").NumberAnswer | null} */ answer = null;
  #key = "";
  /** @type {Set<string>} */ #unfolded = new Set();

  /** @param {Stage} stage */
  constructor(stage) {
    super(stage, "number", "The number");
    this.el.addEventListener("keydown", (event) => this.#walk(event));
  }

  /** @param {() => boolean} current */
  async draw(current) {
    const { stage, stage: { state: { index }, questions, value } } = this;
    if (!value || !index) return;
    if (value.shape.includes(0)) return stage.say("It has no numbers: one of its axes has length 0.");
    const answer = await questions.once("number", { value: value.id, index }), key = `${value.id} ${index}`;
    if (!current()) return;
    this.answer = answer;
    if (key !== this.#key) this.#unfolded.clear();
    this.#key = key;
    this.#show(answer);
  }

  /** @param {import("./answers.js").NumberAnswer} answer */
  #show({ explanation: found, refusal, readers }) {
    this.el.dataset.way = this.stage.state.way;
    this.stage.say(found ? this.#sentence(found) : refusal);
    render(html`<div class="made">${found ? this.#made(found) : html`<h2>Made of <span class="soft">${refusal}</span></h2>`}</div><div class="feeds">${this.#feeds(readers)}</div>`, this.el);
  }

  /** Open the strongest term; of a choice, the winner. */
  into() {
    const found = this.answer?.explanation, first = found && ranked(found).lines[0];
    if (first) this.#open(first.value, first.position);
  }

  /** @param {number} id @param {number} position */
  #index = (id, position) => unravel(position, this.net.value(id).shape);

  /** @param {number} id @param {number} position */
  #open = (id, position) => this.stage.open(id, this.#index(id, position));

  /** What the number is, in a sentence. @param {Explained} found */
  #sentence(found) {
    const { value, index, rule, kind, count, recorded, products, bias, bias_source, formula, note } = found, { net } = this, { lines } = ranked(found), [best] = lines;
    const made = short(recorded), name = net.category(value, index.at(-1) ?? 0), what = name === null ? "" : `“${name}”: `;
    const spot = best ? net.spot(best.value, this.#index(best.value, best.position)) : "", source = best ? net.said(best.value) : "", all = plural(count, "number");
    if (rule === "given") return `${what}${made} was ${note || (net.value(value).kind === "parameter" ? (net.told.random ? "drawn at random" : "learned") : "given to the network")}; nothing lies beneath it.`;
    if (rule === "copy") return `The same number as ${best ? `${spot} of ${source}` : ""}${best && best.weight !== 1 ? `, times ${short(best.weight)}` : ""}: ${made}.`;
    if (rule === "chosen" && kind === "windowed" && best) return `The largest of ${all} of ${source}: ${made}, at ${spot}. The others have no part in it.`;
    if (rule === "chosen") return `Chosen, not computed: ${made}${note ? ` (${note.replace(/^chosen: /, "")})` : ""}.`;
    if (/^relu/.test(formula) && best) return best.x < 0 ? `Negative, so it becomes 0: ${short(best.x)} stops here.` : `Not negative, so it stays: ${made}.`;
    const own = kind === "softmax" && !/log/.test(formula) && lines.find((line) => line.position === ravel(index, net.value(line.value).shape));
    if (own) return `${name === null ? "This number was" : `“${name}” scored`} ${short(own.x)}. e to that power, divided by the sum over all ${count}, is a share of ${percent(recorded)}.`;
    if (rule !== "sum") return `${what}${formula || "A function"} of ${all}: ${made}.`;
    const offset = bias_source || bias ? short(bias) : "", end = `${short(products)}${offset && `, with the bias ${offset} to ${made}`}.`;
    if (kind === "linear" && name !== null) return `The score of “${name}”: all ${all}, each times its weight${offset && `, plus the bias ${offset}`}: ${made}.`;
    return count === 1 ? `The product is ${end}` : `The ${plural(count, kind === "windowed" || kind === "linear" ? "product" : "term")} add up to ${end}`;
  }

  /** @param {Explained} found */
  #made(found) {
    const { net } = this, { rule, kind, bias, bias_source, groups, products } = found, { lines, edge, count } = ranked(found), whole = rule === "sum";
    const rows = lines.map(({ value, position, x, weight, product, won }) => ({ value, position, product, x: whole ? product : x, faint: rule === "chosen" && !won,
      how: rule === "chosen" ? chosen(won, kind) : whole ? `${short(x)} × ${short(weight)}` : rule === "copy" ? times(weight) : `slope ${short(weight)}` }));
    const [factor, at] = whole && lines.length === 1 ? lines[0].factor : [-1, 0], from = [...new Set(groups.flatMap(({ source }) => source))].filter((id) => id >= 0);
    const list = this.#list("made", rows, count, whole ? products : null, bias, (most) => [
      edge ? line({ who: soft(`${edge} beyond the edge`), x: 0, most }) : nothing,
      bias_source ? line({ who: html`<b>bias</b>`, how: soft(net.value(bias_source[0]).name), x: bias, most, open: () => this.#open(...bias_source) }) : bias ? line({ who: html`<b>added</b>`, x: bias, most }) : nothing,
    ], net.values.get(factor)?.kind === "computed" ? { value: factor, position: at, how: "the factor", x: lines[0].weight, product: 0, faint: false } : null);
    return html`<h2>Made of ${soft(rule === "given" ? "nothing: it was given" : plural(found.count, "number") + (from.length === 1 ? ` of ${net.said(from[0])}` : ""))}</h2>${list}${checked(found)}`;
  }

  /** What reads the number, and what it makes of it. @param {import("./answers.js").ReadersAnswer} readers */
  #feeds({ source, position, role, rule, value, weight, product, count, products, refusals }) {
    const { net, stage } = this, ending = stage.value?.id === net.told.output ? "nothing: this is the answer" : "nothing";
    const rows = source.map((id, i) => ({ value: id, position: position[i], product: product[i], x: product[i], faint: rule[i] === "chosen" && !weight[i],
      how: role[i] === "bias" ? "added" : rule[i] === "chosen" ? chosen(weight[i] !== 0) : rule[i] === "copy" ? times(weight[i])
        : rule[i] === "sum" ? `× ${short(role[i] === "weight" ? value[i] : weight[i])}` : `slope ${short(weight[i])}` }));
    const where = new Set(source).size === 1 ? ` of ${net.said(source[0])}` : "";
    return html`<h2>Feeds ${soft(count ? plural(count, "number") + where : ending)}</h2>${this.#list("feeds", rows, count, products)}${refusals.map((why) => html`<p class="soft">${why}</p>`)}`;
  }

  /**
   * The elements, the strongest first, and the others as one line that unfolds.
   * @param {string} name @param {Row[]} rows @param {number} all @param {number | null} products their sum, where they are summed
   * @param {number} [bias] @param {(most: number) => unknown} [ends] what comes last @param {Row | null} [factor] a number beside the only one
   */
  #list(name, rows, all, products, bias = 0, ends = () => nothing, factor = null) {
    const { shown, count, sum } = folded({ lines: rows, count: all, products: products ?? 0 }, this.#unfolded.has(name) ? Infinity : LISTED), several = new Set(rows.map(({ value }) => value)).size > 1;
    const most = largest([...shown.map(({ x }) => x), products === null ? 0 : sum, bias]) || 1;
    const each = (/** @type {Row} */ { value, position, how, x, faint }, named = several) => {
      const spot = this.net.spot(value, this.#index(value, position)).replace(`sample ${this.stage.state.index?.[0]}, `, "");
      return line({ who: html`${named ? html`<b>${this.net.title(value)}</b> ` : nothing}${spot}`, how, x, most, open: () => this.#open(value, position), title: spot, exact: full(x), faint });
    };
    const unfold = () => { this.#unfolded.add(name); if (this.answer) this.#show(this.answer); };
    return html`<ol>${shown.map((row) => each(row))}${factor ? each(factor, true) : nothing}
      ${count ? line({ who: soft(plural(count, "other")), x: products === null ? null : sum, most, ...(rows.length > shown.length ? { open: unfold, title: "List them" } : {}) }) : nothing}${ends(most)}</ol>`;
  }

  /** Move between the lines. @param {KeyboardEvent} event */
  #walk(event) {
    const by = { ArrowUp: -1, ArrowDown: 1, Home: -Infinity, End: Infinity }[event.key];
    const rows = /** @type {HTMLElement[]} */ ([...this.el.querySelectorAll("button.row")]).filter((row) => row.offsetParent), at = rows.findIndex((row) => row.matches(":focus"));
    if (!by || at < 0) return;
    event.preventDefault();
    rows[Math.max(0, Math.min(rows.length - 1, at + by))].focus();
  }
}

const soft = (/** @type {unknown} */ text) => html`<span class="soft">${text}</span>`;

const times = (/** @type {number} */ weight) => (weight === 1 ? "unchanged" : `× ${short(weight)}`);

const chosen = (/** @type {boolean} */ won, kind = "") => html`<em>${!won ? "not chosen" : kind === "windowed" ? "the largest" : "chosen"}</em>`;

/** One line: who, how, a bar from the middle, the number. @param {{ who: unknown, how?: Shown, x: number | null, most: number, open?: () => void, title?: string, exact?: string, faint?: boolean }} row */
function line({ who, how = "", x, most, open, title, exact, faint }) {
  const parts = html`<span class="who">${who}</span><span class="how">${how}</span>${x === null ? html`<span></span>` : html`<span class="size"><i class=${x < 0 ? "negative" : "positive"} .style=${`width:${Math.min(50, (50 * Math.abs(x)) / most) || 0}%`}></i></span>`}
    <span class="n" title=${exact ?? nothing}>${x === null ? "" : short(x)}</span>`;
  return html`<li>${open ? html`<button type="button" class="row ${faint ? "faint" : ""}" title=${title ?? nothing} @click=${open}>${parts}</button>` : html`<div class="row">${parts}</div>`}</li>`;
}

/** Whether the terms give the number, and how nearly. @param {Explained} found */
function checked({ rule, count, total, recorded, bound, formula, note }) {
  if (rule === "given") return nothing;
  const off = Math.abs(total - recorded), near = off ? `${rough(off)} from what the network computed; rounding allows ${rough(bound)}` : "exactly what the network computed";
  const given = `${short(total)}, ${near}.`;
  const text = rule === "sum" ? `${count > 1 ? "The terms add up to" : "The product gives"} ${given}` : rule === "function" ? `${formula} gives ${given} A slope says how far it follows each number.` : note;
  return text ? html`<p class="soft">${rule === "chosen" ? html`<em>chosen</em>${text.replace(/^chosen/, "")}` : text}</p>` : nothing;
}
