// The single number: what it is made of on the left, what it feeds on the right; every line opens again.

import { html, nothing, render } from "./vendor/lit-html.js";
import { full, percent, plural, ravel, rough, short, unravel } from "./numbers.js";
import { folded, ranked } from "./parts/ranking.js";

/**
 * @typedef {import("./answers.js").NumberAnswer} NumberAnswer
 * @typedef {import("./answers.js").Explained} Explained
 * @typedef {import("./parts/ranking.js").Line} Line
 * @typedef {import("./vendor/lit-html.js").TemplateResult} Template
 */

const LISTED = 9; // lines before the others are unfolded
const PAST_EDGE = "beyond the edge";

export class NumberView {
  /** @type {NumberAnswer | null} */ answer = null;
  #key = "";
  #unfolded = { made: false, feeds: false };

  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    this.stage = stage;
    this.el = document.createElement("section");
    this.el.className = "number";
    this.el.setAttribute("aria-label", "The number");
    this.el.addEventListener("keydown", (event) => this.#walk(event));
  }

  /** @param {() => boolean} current */
  async draw(current) {
    const { state, questions, value } = this.stage;
    if (!value || !state.index) return;
    const { index } = state;
    if (value.shape.includes(0)) return this.stage.say("It has no numbers: one of its axes has length 0.");
    const answer = await questions.once("number", { value: value.id, index });
    if (!current()) return;
    this.answer = answer;
    const key = `${value.id} ${index}`;
    if (key !== this.#key) this.#unfolded = { made: false, feeds: false };
    this.#key = key;
    this.#show();
  }

  #show() {
    const { stage, answer } = this;
    if (!answer) return;
    const found = answer.explanation;
    this.el.dataset.way = stage.state.way;
    stage.say(found ? this.#sentence(found) : answer.refusal);
    render(html`<div class="made"><h2>Made of <span class="soft">${found ? this.#count(found) : answer.refusal}</span></h2>
        ${found ? html`<ol>${this.#made(found)}</ol>${this.#check(found)}` : nothing}</div>
      <div class="feeds">${this.#feeds(answer.readers)}</div>`, this.el);
  }

  /** Open the strongest term; of a choice, the winner. */
  into() {
    const found = this.answer?.explanation;
    const [first] = found ? ranked(found).lines : [];
    if (first) this.#open(first.value, first.position);
  }

  /** @param {number} id @param {number} position */
  #open(id, position) {
    return this.stage.open(id, unravel(position, this.stage.net.value(id).shape));
  }

  // Made of

  /** @param {Explained} found */
  #count({ rule, groups, count }) {
    const { net } = this.stage;
    if (rule === "given") return "nothing: it was given";
    const from = [...new Set(groups.flatMap(({ source }) => source))].filter((id) => id >= 0);
    return `${plural(count, "number")}${from.length === 1 ? ` of ${net.said(from[0])}` : ""}`;
  }

  /** What the number is, in a sentence. @param {Explained} found */
  #sentence(found) {
    const { net } = this.stage;
    const { rule, kind, count, recorded, products, bias, bias_source, formula, note } = found;
    const [best] = ranked(found).lines;
    const made = short(recorded);
    const name = net.category(found.value, found.index.at(-1) ?? 0);
    const what = name === null ? "" : `“${name}”: `;
    const place = best ? `${net.spot(best.value, unravel(best.position, net.value(best.value).shape))} of ${net.said(best.value)}` : "";
    if (rule === "given") return `${what}${made} was ${note || (net.value(found.value).kind === "parameter" ? (net.told.random ? "drawn at random" : "learned") : "given to the network")}; nothing lies beneath it.`;
    if (rule === "copy") return `The same number as ${place}${best && best.weight !== 1 ? `, times ${short(best.weight)}` : ""}: ${made}.`;
    if (rule === "chosen") return `${kind === "windowed" && best ? `The largest of ${plural(count, "number")} of ${net.said(best.value)}: ${made}, at ${place.replace(/ of [^,]*$/, "")}. The others have no part in it.` : `Chosen, not computed: ${made}${note ? ` (${note.replace(/^chosen: /, "")})` : ""}.`}`;
    if (/^relu/.test(formula) && best) return best.x < 0 ? `Negative, so it becomes 0: ${short(best.x)} stops here.` : `Not negative, so it stays: ${made}.`;
    const own = kind === "softmax" ? ranked(found).lines.find((line) => line.position === ravel(found.index, net.value(line.value).shape)) : null;
    if (own && !/log/.test(formula)) return `${name === null ? "This number was" : `“${name}” scored`} ${short(own.x)}. e to that power, divided by the sum over all ${count}, is a share of ${percent(recorded)}.`;
    if (rule !== "sum") return `${what}${formula || "A function"} of ${plural(count, "number")}: ${made}.`;
    const offset = bias_source || bias ? `, with the bias ${short(bias)} to ${made}` : "";
    if (kind === "linear" && name !== null) return `The score of “${name}”: all ${plural(count, "number")}, each times its weight${offset ? `, plus the bias ${short(bias)}` : ""}: ${made}.`;
    return count === 1 ? `The product is ${short(products)}${offset}.` : `The ${plural(count, kind === "windowed" || kind === "linear" ? "product" : "term")} add up to ${short(products)}${offset}.`;
  }

  /** @param {Explained} found @returns {Template[]} */
  #made(found) {
    const { net } = this.stage;
    const all = ranked(found);
    const { shown, count, sum } = folded(all, this.#unfolded.made ? Infinity : LISTED);
    const several = new Set(all.lines.map((line) => line.value)).size > 1;
    const whole = found.rule === "sum";
    const size = (/** @type {Line} */ line) => (whole ? line.product : line.x);
    const most = Math.max(...shown.map((line) => Math.abs(size(line))), whole ? Math.abs(sum) : 0, Math.abs(found.bias)) || 1;
    const how = (/** @type {Line} */ line) => {
      if (found.rule === "chosen") return html`<em>${line.won ? (found.kind === "windowed" ? "the largest" : "chosen") : "not chosen"}</em>`;
      if (found.rule === "copy") return line.weight === 1 ? "unchanged" : `× ${short(line.weight)}`;
      return whole ? `${short(line.x)} × ${short(line.weight)}` : `slope ${short(line.weight)}`;
    };
    const rows = shown.map((line) => this.#row(line.value, line.position, several, how(line), size(line), most, found.rule === "chosen" && !line.won));
    const [factor, at] = whole && all.lines.length === 1 ? all.lines[0].factor : [-1, 0];
    if (net.values.get(factor)?.kind === "computed") rows.push(this.#row(factor, at, true, "the factor", all.lines[0].weight, most));
    if (count) rows.push(this.#others("made", count, whole ? sum : null, most, all.lines.length > shown.length));
    if (all.edge) rows.push(html`<li class="row"><span class="who soft">${all.edge} ${PAST_EDGE}</span><span class="how"></span><span></span><span class="n">0</span></li>`);
    const { bias_source: source, bias } = found;
    if (source) rows.push(html`<li><button type="button" class="row" @click=${() => this.#open(...source)}><span class="who"><b>bias</b></span><span class="how soft">${net.value(source[0]).name}</span>${bar(bias, most)}<span class="n">${short(bias)}</span></button></li>`);
    else if (bias) rows.push(html`<li class="row"><span class="who"><b>added</b></span><span class="how"></span>${bar(bias, most)}<span class="n">${short(bias)}</span></li>`);
    return rows;
  }

  /** One element, which opens. @param {number} id @param {number} position @param {boolean} named @param {unknown} how @param {number} x @param {number} most @param {boolean} [faint] */
  #row(id, position, named, how, x, most, faint = false) {
    const { net } = this.stage;
    const spot = net.spot(id, unravel(position, net.value(id).shape)).replace(`sample ${this.stage.state.index?.[0]}, `, "");
    return html`<li><button type="button" class="row ${faint ? "faint" : ""}" title=${spot} @click=${() => this.#open(id, position)}><span class="who">${named ? html`<b>${net.title(id)}</b> ` : nothing}${spot}</span>
      <span class="how">${how}</span>${bar(x, most)}<span class="n" title=${full(x)}>${short(x)}</span></button></li>`;
  }

  /** Whether the terms give the number, and how nearly. @param {Explained} found */
  #check({ rule, count, total, recorded, bound, formula, note }) {
    if (rule === "given") return nothing;
    const off = Math.abs(total - recorded);
    const near = off ? `${rough(off)} from what the network computed; rounding allows ${rough(bound)}` : "exactly what the network computed";
    const text = rule === "sum" && count > 1 ? `The terms add up to ${short(total)}, ${near}.`
      : rule === "sum" ? `The product gives ${short(total)}, ${near}.`
      : rule === "function" ? `${formula} gives ${short(total)}, ${near}. A slope says how far it follows each number.` : note;
    return text ? html`<p class="soft">${rule === "chosen" ? html`<em>chosen</em>${text.replace(/^chosen/, "")}` : text}</p>` : nothing;
  }

  // Feeds

  /** What reads the number, and what it makes of it. @param {import("./answers.js").ReadersAnswer} readers */
  #feeds({ source, position, role, rule, value, weight, product, count, products, refusals }) {
    const { net, value: own } = this.stage;
    const shown = source.slice(0, this.#unfolded.feeds ? Infinity : LISTED);
    const several = new Set(source).size > 1;
    const rest = products - product.slice(0, shown.length).reduce((a, b) => a + b, 0);
    const most = Math.max(...product.map(Math.abs), count > shown.length ? Math.abs(rest) : 0) || 1;
    const how = (/** @type {number} */ i) => {
      if (role[i] === "bias") return "added";
      if (rule[i] === "chosen") return html`<em>${weight[i] ? "chosen" : "not chosen"}</em>`;
      if (rule[i] === "copy" && weight[i] === 1) return "unchanged";
      return rule[i] === "sum" || rule[i] === "copy" ? `× ${short(role[i] === "weight" ? value[i] : weight[i])}` : `slope ${short(weight[i])}`;
    };
    const where = several || !count ? "" : ` of ${net.said(source[0])}`;
    const end = own?.id === net.told.output ? "nothing: this is the answer" : "nothing";
    return html`<h2>Feeds <span class="soft">${count ? plural(count, "number") + where : end}</span></h2>
      <ol>${shown.map((id, i) => this.#row(id, position[i], several, how(i), product[i], most, rule[i] === "chosen" && !weight[i]))}
        ${count > shown.length ? this.#others("feeds", count - shown.length, rest, most, source.length > shown.length) : nothing}</ol>
      ${refusals.map((why) => html`<p class="soft">${why}</p>`)}`;
  }

  /** The lines that are not listed, as one that unfolds. @param {"made" | "feeds"} list @param {number} count @param {number | null} sum @param {number} most @param {boolean} more whether some of them are known */
  #others(list, count, sum, most, more) {
    const text = html`<span class="who soft">${plural(count, "other")}</span><span class="how"></span>${sum === null ? html`<span></span>` : bar(sum, most)}<span class="n">${sum === null ? "" : short(sum)}</span>`;
    const unfold = () => { this.#unfolded[list] = true; this.#show(); };
    return more ? html`<li><button type="button" class="row" aria-expanded="false" title="List them" @click=${unfold}>${text}</button></li>` : html`<li class="row">${text}</li>`;
  }

  /** Move between the lines. @param {KeyboardEvent} event */
  #walk(event) {
    const by = { ArrowUp: -1, ArrowDown: 1, Home: -Infinity, End: Infinity }[event.key];
    const rows = /** @type {HTMLElement[]} */ ([...this.el.querySelectorAll("button.row")]).filter((row) => row.offsetParent);
    const at = rows.findIndex((row) => row.matches(":focus"));
    if (!by || at < 0) return;
    event.preventDefault();
    rows[Math.max(0, Math.min(rows.length - 1, at + by))].focus();
  }
}

/** A number as a bar from the middle. @param {number} x @param {number} most */
function bar(x, most) {
  return html`<span class="size"><i class=${x < 0 ? "negative" : "positive"} .style=${`width:${Math.min(50, (50 * Math.abs(x)) / most) || 0}%`}></i></span>`;
}
