// One number as the terms it is made of: window, kernel and products, ranked, closing to the total.

import { html, nothing, render } from "./vendor/lit-html.js";
import { colour, css, ink, isDark } from "./colours.js";
import { bar, fit, largest, mini, strongest } from "./grids.js";
import { aligned, cells, count, full, indexText, powerText, rough, short, unravel } from "./numbers.js";

/**
 * @typedef {import("./answers.js").Explained} Explained
 * @typedef {import("./answers.js").Standing} Standing
 * @typedef {import("./answers.js").TermGroup} Group
 * @typedef {import("./answers.js").ValueRow} Value
 * @typedef {import("./state.js").Stop} Stop
 */

export class Arithmetic {
  /** @type {Set<number>} */ #unfolded = new Set();
  #shown = "";

  /**
   * @param {HTMLElement} el
   * @param {object} actions
   * @param {(value: number, index: number[]) => void} actions.follow
   * @param {(to: number) => void} actions.back to that many numbers of the trail
   * @param {() => Promise<void>} actions.more
   */
  constructor(el, actions) {
    this.el = el;
    this.actions = actions;
    /** @type {Map<number, Value>} */ this.values = new Map();
    el.addEventListener("keydown", this.#key);
    for (const event of ["pointerover", "focusin", "pointerout", "focusout"]) el.addEventListener(event, this.#point);
  }

  /** Invite the reader to open a number. @param {boolean} ready */
  invite(ready) {
    this.#shown = "";
    render(ready ? html`<div class="invitation">
      <p>Click a number to see what it is the sum of.</p>
      <p class="soft">Then click one of its terms, and again, down to the pixels.</p>
    </div>` : nothing, this.el);
  }

  /** Say why the lit part of the picture is not exact. @param {string} sentence */
  warn(sentence) {
    const line = this.el.querySelector(".loose");
    if (line) line.textContent = sentence && `What is lit is ${sentence}.`;
  }

  /** @param {string} sentence */
  fail(sentence) {
    this.#shown = "";
    render(html`<p class="sentence" role="alert">${sentence}</p>`, this.el);
  }

  /**
   * @param {Explained} found
   * @param {Stop[]} trail
   * @param {Map<number, Value>} values
   * @param {number[] | null} [pixel] what the picture shows there, for a number of the input
   */
  show(found, trail, values, pixel = null) {
    this.values = values;
    const key = `${found.value} ${found.index}`;
    const other = key !== this.#shown;
    if (other) {
      this.#unfolded = new Set(found.groups.slice(0, 1).map((group) => group.first));
      this.el.scrollTop = 0;
    }
    this.#shown = key;
    const value = /** @type {Value} */ (values.get(found.value));
    const again = () => this.show(found, trail, values);
    if (other) this.warn("");
    render(html`
      ${this.#trail(trail, value, found.index)}
      <header class="what">
        <h2><span class="path">${value.name}</span> <span class="index">${indexText(found.index)}</span></h2>
        <output class="number recorded" data-number=${full(found.recorded, value.dtype)}
          title=${full(found.recorded, value.dtype)}>${short(found.recorded)}</output>
        <p class="rule">${sentence(found, value)}</p>
        <p class="rule loose"></p>
        ${found.call ? html`<p class="call">${found.call}</p>` : nothing}
        ${found.standing ? this.#standing(found.standing, found.value) : nothing}
        ${pixel ? shown(pixel) : nothing}${equation(found)}
        ${found.source?.text ? html`<p class="source" title="${found.source.file}, line ${found.source.line}">
          <code>${found.source.text}</code> <span>${found.source.file}:${found.source.line}</span></p>` : nothing}
      </header>
      ${found.count ? this.#terms(found, value, again) : nothing}
    `, this.el);
    this.#tabStop();
  }

  /** @param {Stop[]} trail @param {Value} value @param {number[]} index */
  #trail(trail, value, index) {
    if (!trail.length) return nothing;
    return html`<nav class="trail" aria-label="Trail"><ol>
      ${trail.map((e, i) => html`<li><button type="button" @click=${() => this.actions.back(i)}
        title="${e.at} ${indexText(e.index)}">${tail(e.at)}<small>${brief(e.index)}</small></button></li>`)}
      <li aria-current="step">${tail(value.name)}<small>${brief(index)}</small></li>
    </ol></nav>`;
  }

  /** Say whether this class was chosen for its pixel. @param {Standing} standing @param {number} value */
  #standing({ chosen, rank, count, winner, name, largest, index }, value) {
    if (chosen) return html`<p class="standing">chosen: the largest of ${count} scores, so this pixel is <b>${name}</b></p>`;
    return html`<p class="standing">not chosen: rank ${rank} of ${count} scores; this pixel is
      <button type="button" class="link" @click=${() => this.actions.follow(value, index)}>${winner}, ${short(largest)}</button></p>`;
  }

  /** @param {Explained} found @param {Value} value @param {() => void} again */
  #terms(found, value, again) {
    const spans = {
      value: largest(found.groups, "value"),
      weight: largest(found.groups, "weight"),
      product: largest(found.groups, "product"),
      sum: Math.max(Math.abs(found.bias), ...found.groups.map((g) => Math.abs(g.sum)).filter(Number.isFinite)),
    };
    const line = aligned(spans.sum);
    const windowed = found.window.length > 0;
    const lines = windowed
      ? found.groups.map((group) => this.#window(found, group, spans, line, again))
      : found.groups.map((group) => this.#term(found, group, spans, line));
    return html`
      ${windowed ? this.#between(found) : heads(found)}
      <div class="terms ${windowed ? "windows" : `singles ${found.rule}`}" role="list">${lines}</div>
      ${this.#closing(found, value, spans.sum, line, windowed)}
    `;
  }

  /** Name what is multiplied with what. @param {Explained} found */
  #between(found) {
    const group = found.groups[0];
    const from = this.values.get(group?.source.find((id) => id >= 0) ?? -1);
    const weight = this.values.get(group?.weight_source[0] ?? -1);
    if (!from) return nothing;
    const joined = found.kind === "region" ? ", weighed by where the box lies: " : " × ";
    return html`<p class="between">windows of <b>${from.name}</b>${weight ? html`${joined}<b>${weight.name}</b>` : nothing}${
      found.group_count > 1 ? ", by input channel, largest first" : nothing}</p>`;
  }

  // A window: grids of numbers

  /** @param {Explained} found @param {Group} group @param {Record<string, number>} spans @param {(x: number) => string} line @param {() => void} again */
  #window(found, group, spans, line, again) {
    const open = this.#unfolded.has(group.first);
    const toggle = () => {
      open ? this.#unfolded.delete(group.first) : this.#unfolded.add(group.first);
      again();
    };
    const chosen = found.rule === "chosen";
    const name = `channel ${group.channel}`;
    return html`<section class="group ${open ? "open" : ""}" role="listitem" data-channel=${group.channel}>
      <button type="button" class="go head" aria-expanded=${open} @click=${toggle}
          aria-label="${name}: ${full(group.sum)}; ${open ? "hide" : "show"} its numbers">
        <span class="fold" aria-hidden="true">${open ? "▾" : "▸"}</span>
        <span class="label">${name}</span>
        <span class="minis" aria-hidden="true">${open ? nothing : chosen
          ? mini(group.value, found.window, spans.value, "activation")
          : html`${mini(group.value, found.window, spans.value, "activation")}<i>×</i>${
            mini(group.weight, found.window, spans.weight, "weight")}<i>=</i>${
            mini(group.product, found.window, spans.product, "activation")}`}</span>
        ${chosen ? nothing : html`${bar(group.sum, spans.sum)}
        <span class="number" data-number=${full(group.sum)} title=${full(group.sum)}>${line(group.sum)}</span>`}
      </button>
      ${open ? html`<div class="grids ${chosen ? "one" : ""} ${fit(found.window)}">
        ${this.#grid("window", group, found, spans.value)}
        ${chosen ? nothing : html`
          <b aria-hidden="true">×</b>${this.#grid("kernel", group, found, spans.weight)}
          <b aria-hidden="true">=</b>${this.#grid("products", group, found, spans.product)}`}
      </div>` : nothing}
    </section>`;
  }

  /** @param {"window" | "kernel" | "products"} part @param {Group} group @param {Explained} found @param {number} span */
  #grid(part, group, found, span) {
    const numbers = { window: group.value, kernel: group.weight, products: group.product }[part];
    const columns = found.window.at(-1) ?? 1;
    const rows = found.window.at(-2) ?? 1;
    const { power, text } = cells(span);
    const family = part === "kernel" ? "weight" : "activation";
    const blocks = Math.max(1, numbers.length / (rows * columns));
    const lines = Array.from({ length: blocks * rows }, (_, r) => r);
    return html`<figure class="grid ${part}"><figcaption>${part} ${powerText(power)} <output aria-hidden="true"></output></figcaption>
      <table role="grid" aria-label="${part} of channel ${group.channel}"><tbody>
        ${lines.map((r) => html`<tr class=${r && r % rows === 0 ? "block" : nothing}>
          ${Array.from({ length: columns }, (_, c) => this.#cell(part, group, r * columns + c, numbers, span, family, found, text))}
        </tr>`)}
      </tbody></table></figure>`;
  }

  /** @param {string} part @param {Group} group @param {number} i @param {number[]} numbers @param {number} span @param {"activation" | "weight"} family @param {Explained} found @param {(x: number) => string} text */
  #cell(part, group, i, numbers, span, family, found, text) {
    const x = numbers[i];
    const weight = part === "kernel";
    const [id, position] = weight
      ? [group.weight_source[i], group.weight_position[i]] : [group.source[i], group.position[i]];
    const value = this.values.get(id);
    const padding = !weight && id < 0;
    const rgb = colour(x, span, family, isDark());
    // A style that is set as a property is not inline markup, which the page's policy forbids.
    const style = padding ? "" : `background:${css(rgb)};color:${ink(rgb)}`;
    const index = value ? unravel(position, value.shape) : [];
    const where = value ? `${value.name} ${indexText(index)}` : padding ? "padding" : "computed";
    const dtype = part === "products" ? "float64" : value?.dtype ?? "float64";
    const won = found.rule === "chosen" && group.weight[i] !== 0;
    const best = part === "window" && group === found.groups[0] && i === strongest(group);
    return html`<td role="gridcell"><button type="button" ?disabled=${!value} ?data-best=${best}
        class="go ${padding ? "padding" : ""} ${won ? "won" : ""}" .style=${style}
        data-number=${full(x, dtype)} data-source=${id} title="${where} = ${full(x, dtype)}"
        aria-label="${part} ${where}: ${full(x, dtype)}${won ? ", taken" : ""}"
        @click=${() => value && this.actions.follow(id, index)}>${text(x)}</button></td>`;
  }

  // Single terms: lines

  /** @param {Explained} found @param {Group} group @param {Record<string, number>} spans @param {(x: number) => string} line */
  #term(found, group, spans, line) {
    const [x, w, product] = [group.value[0], group.weight[0], group.product[0]];
    const from = this.values.get(group.source[0]);
    const weight = this.values.get(group.weight_source[0]);
    const index = from ? unravel(group.position[0], from.shape) : [];
    const at = weight ? unravel(group.weight_position[0], weight.shape) : [];
    const sloped = found.rule === "function" || found.rule === "slope";
    const won = found.rule === "chosen" && w !== 0;
    return html`<div class="term ${won ? "won" : ""}" role="listitem">
      <button type="button" class="go from" ?disabled=${!from} data-source=${group.source[0]}
          data-number=${full(x, from?.dtype)} title="${from?.name ?? "constant"} ${indexText(index)} = ${full(x, from?.dtype)}"
          @click=${() => from && this.actions.follow(from.id, index)}>
        <span class="label"><span>${from ? tail(from.name) : "constant"}</span><small>${from ? brief(index) : ""}</small></span>
        <span class="number">${short(x)}</span>
      </button>
      ${found.rule === "copy" && weight ? html`<button type="button" class="go chooser"
          title="${weight.name} ${indexText(at)}" @click=${() => this.actions.follow(weight.id, at)}
          >chosen by ${tail(weight.name)} <small>${brief(at)}</small></button>` : nothing}
      ${sloped ? html`<span class="number" data-number=${full(w)} title="slope ${full(w)}">${short(w)}</span>` : nothing}
      ${found.rule !== "sum" ? nothing : html`
        <i aria-hidden="true">×</i>
        <button type="button" class="go weight" ?disabled=${!weight} data-number=${full(w, weight?.dtype)}
          title="${weight ? `${weight.name} ${indexText(at)} = ` : ""}${full(w, weight?.dtype)}"
          @click=${() => weight && this.actions.follow(weight.id, at)}><span class="number">${short(w)}</span></button>
        <i aria-hidden="true">=</i>
        ${bar(product, spans.sum)}
        <span class="number product" data-number=${full(product)} title=${full(product)}>${line(product)}</span>`}
    </div>`;
  }

  // What closes the sum

  /** @param {Explained} found @param {Value} value @param {number} span @param {(x: number) => string} line @param {boolean} windowed */
  #closing(found, value, span, line, windowed) {
    const sum = found.rule === "sum";
    const noun = windowed ? "channel" : "term";
    const others = found.rest_count === 1 ? `1 other ${noun}` : `all ${count(found.rest_count)} other ${noun}s`;
    const bias = found.bias_source && this.values.get(found.bias_source[0]);
    const follow = () => bias && this.actions.follow(bias.id, unravel(/** @type {[number, number]} */ (found.bias_source)[1], bias.shape));
    const difference = Math.abs(found.recorded - found.total);
    if (!sum && !found.rest_count) return nothing;
    return html`<div class="closing">
      ${found.rest_count ? html`<div class="line rest"><span class="label">${others}
          <button type="button" class="go more" @click=${() => this.actions.more()}>show more</button></span>
        ${sum ? html`${bar(found.rest, span)}<span class="number" data-number=${full(found.rest)} title=${full(found.rest)}>${line(found.rest)}</span>` : nothing}</div>` : nothing}
      ${sum && (found.bias !== 0 || bias) ? html`<div class="line bias"><button type="button" class="go label" ?disabled=${!bias} @click=${follow}>
          + bias${bias ? html` <small>${bias.name}</small>` : nothing}</button>
        ${bar(found.bias, span)}<span class="number" data-number=${full(found.bias, bias?.dtype)} title=${full(found.bias, bias?.dtype)}>${line(found.bias)}</span></div>` : nothing}
      ${sum ? html`<div class="line total"><span class="label">= total</span>
        <span class="number" data-number=${full(found.total)} title=${full(found.total)}>${line(found.total)}</span></div>
      <p class="warrant" title="recorded ${full(found.recorded, value.dtype)}, total ${full(found.total)}">
        The network computed ${full(found.recorded, value.dtype)}; the total differs by ${rough(difference)},
        rounding allows ${rough(found.bound)}.</p>` : nothing}
    </div>`;
  }

  /** Focus the strongest term, so that Enter after Enter follows what mattered most. */
  focus() {
    const best = this.el.querySelector("[data-best]") ?? this.el.querySelector(".from:not([disabled])");
    const any = best ?? this.el.querySelector(".terms .go:not([disabled])") ?? this.el.querySelector("button");
    /** @type {HTMLElement | null} */ (any)?.focus();
    this.#tabStop();
  }

  /** Let Tab reach one of the many buttons; arrows reach the rest. */
  #tabStop() {
    const all = /** @type {HTMLElement[]} */ ([...this.el.querySelectorAll(".go")]);
    const current = all.find((el) => el === document.activeElement) ?? all.find((el) => !el.matches(":disabled"));
    for (const el of all) el.tabIndex = el === current ? 0 : -1;
  }

  /** Show the full numbers of the tap pointed at, and mark it in window, kernel and products. */
  #point = (/** @type {Event} */ event) => {
    const cell = /** @type {HTMLElement} */ (event.target).closest(".grid .go");
    const grids = cell?.closest(".grids")?.querySelectorAll(".grid");
    if (!cell || !grids) return;
    const on = event.type === "pointerover" || (event.type === "focusin" && cell.matches(":focus-visible"));
    const tap = [.../** @type {Element} */ (cell.closest(".grid")).querySelectorAll(".go")].indexOf(cell);
    for (const grid of grids) {
      const same = /** @type {HTMLElement | undefined} */ (grid.querySelectorAll(".go")[tap]);
      same?.classList.toggle("same", on);
      const output = grid.querySelector("output");
      if (output) output.textContent = on ? caption(same?.dataset.number) : "";
    }
  };

  /** Go to the nearest button in the direction of an arrow. */
  #key = (/** @type {KeyboardEvent} */ event) => {
    const at = /** @type {HTMLElement} */ (document.activeElement);
    const way = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] }[event.key];
    if (!way || !at?.classList.contains("go") || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const from = middle(at);
    let best = null;
    let least = Infinity;
    for (const el of /** @type {NodeListOf<HTMLElement>} */ (this.el.querySelectorAll(".go:not([disabled])"))) {
      const to = middle(el);
      const along = (to.x - from.x) * way[0] + (to.y - from.y) * way[1];
      const aside = Math.abs((to.x - from.x) * way[1]) + Math.abs((to.y - from.y) * way[0]);
      const far = along + (way[0] ? 12 : 0.3) * aside;
      if (el !== at && along > 3 && far < least) [best, least] = [el, far];
    }
    best?.focus();
    this.#tabStop();
  };
}

/** @param {HTMLElement} el */
function middle(el) {
  const box = el.getBoundingClientRect();
  return { x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2 };
}

/** @param {Explained} found */
function heads(found) {
  if (found.rule === "copy" || found.rule === "chosen") return nothing;
  if (found.rule !== "sum") return html`<div class="heads sloped" aria-hidden="true"><span>value</span><span>slope</span></div>`;
  return html`<div class="heads summed" aria-hidden="true"><span>value</span><i></i><span>weight</span><i></i><span>product</span></div>`;
}

/** Say in words what makes this number. @param {Explained} found @param {Value} value */
function sentence(found, value) {
  if (found.rule === "given") {
    return { input: "An input of the network: the walk ends here.", parameter: "A parameter of the network, as trained.",
      buffer: "A stored number of the network.", constant: "A number the network's own code made." }[value.kind] ?? found.note;
  }
  const op = html`<b>${found.op}</b>`;
  const note = found.note.replace(/^chosen: /, "");
  const more = note && note !== found.formula ? html`; ${note}` : nothing;
  const products = `${count(found.count)} product${found.count === 1 ? "" : "s"}`;
  const over = found.window.length && found.group_count > 1 ? ` over ${found.group_count} channels` : "";
  return {
    sum: html`${op}: ${found.formula || "sum of products"}; ${products}${over}${more}`,
    copy: html`${op}: the same number, unchanged${more}`,
    chosen: html`${op}: ${note || `one of ${count(found.count)} numbers`}`,
    function: html`${op}: ${found.formula || "a function of these numbers"}${more}`,
    slope: html`${op}: slopes, how the number reacts to each of ${count(found.count)} numbers; not a sum${more}`,
  }[found.rule] ?? html`${op}: ${found.formula}${more}`;
}

/** Show the picture's own pixel. @param {number[]} rgb */
function shown([r, g, b]) {
  const colours = r === g && g === b ? `grey ${r}` : `red ${r}, green ${g}, blue ${b}`;
  return html`<p class="pixel"><svg viewBox="0 0 10 10" aria-hidden="true"><rect width="10" height="10"
    fill="rgb(${r},${g},${b})"></rect></svg> In the picture: ${colours} (of 255).</p>`;
}

/** Write the sum in one line. @param {Explained} found */
function equation(found) {
  if (found.rule !== "sum" || (found.bias === 0 && !found.bias_source)) return nothing;
  const line = aligned(Math.max(Math.abs(found.products), Math.abs(found.bias), Math.abs(found.total)));
  const sign = found.bias < 0 ? "−" : "+";
  return html`<p class="equation">${line(found.products)} ${sign} ${line(Math.abs(found.bias))} = ${line(found.total)}</p>`;
}

/** @param {string | undefined} number */
function caption(number) {
  return number === undefined ? "" : String(Number(Number(number).toPrecision(6))).replace("-", "−");
}

/** Return the last part of a long path. @param {string} name */
function tail(name) {
  return name.split(".").slice(-2).join(".");
}

/** Return an index without the sample axis. @param {number[]} index */
function brief(index) {
  return ` ${(index.length > 1 ? index.slice(1) : index).join(",")}`;
}
