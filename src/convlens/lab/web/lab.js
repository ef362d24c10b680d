// The lab: outline, maps and arithmetic of one network on one picture, over any host's model.

import { html, nothing, render as draw } from "./vendor/lit-html.js";
import { Answering } from "./answering.js";
import { Arithmetic } from "./arithmetic.js";
import { ask, Refusal } from "./asking.js";
import { Bars, suits } from "./bars.js";
import { onTheme } from "./colours.js";
import { SCALES, controls } from "./controls.js";
import { chooseFile, frame } from "./frame.js";
import { showKeys } from "./keys.js";
import { count, shapeText } from "./numbers.js";
import { Outline } from "./outline.js";
import { Picture } from "./picture.js";
import { Questions } from "./questions.js";
import { SheetView } from "./sheet.js";
import { START, format, fresh, parse } from "./state.js";

/**
 * @typedef {import("./asking.js").Model} Model
 * @typedef {import("./outline.js").Value} Value
 * @typedef {import("./state.js").State} State
 */

const LARGEST_FILE = 32 * 2 ** 20;

/** @param {{ model: Model, el: HTMLElement }} host */
export function render({ model, el }) {
  const lab = new Lab(model, el);
  // Keys work at once, without a click first.
  if (document.activeElement === document.body) lab.at("lab").focus({ preventScroll: true });
  lab.load();
  return () => lab.end();
}

class Lab {
  /** @type {State} */ state = START;
  /** @type {any} */ network = null;
  /** @type {Map<number, Value>} */ values = new Map();
  /** @type {Map<string, Value>} */ named = new Map();
  /** @type {import("./arithmetic.js").Explained | null} */ found = null;
  turn = 0;
  loads = 0;
  /** @type {import("./axes.js").Axes | null} */ axes = null;
  moved = false; // to another number, by the reader

  /** @param {Model} model @param {HTMLElement} el */
  constructor(model, el) {
    this.model = model;
    this.questions = new Questions(model);
    this.root = el;
    frame(el, { take: (file) => this.take(file), help: () => this.help(), key: this.#key, click: this.#empty });
    const at = (/** @type {string} */ name) => /** @type {HTMLElement} */ (el.querySelector(`.${name}`));
    this.at = at;
    this.outline = new Outline(at("steps"), { choose: (value, follow) => this.choose(value, follow) });
    this.answering = new Answering(at("answer"), this.questions, this);
    this.maps = new SheetView(at("sheet"), at("legend"), at("readout"), {
      open: (value, index, follow) => this.open(value, index, follow),
      change: (change) => this.go(change),
      back: () => this.back(),
      numbers: (sheet, map) => this.questions.numbers(sheet, map),
    });
    this.bars = new Bars(at("bars"), { open: (value, place, follow) => this.openBar(value, place, follow) });
    this.arithmetic = new Arithmetic(at("arithmetic"), {
      follow: (value, index) => this.follow(value, index),
      back: (to) => this.backTo(to),
      more: () => this.more(),
    });
    this.picture = new Picture(at("picture"), this.answering.overlay);
    this.restored = () => this.restore();
    model.on("change:state", this.restored);
    this.unthemed = onTheme(() => { this.maps.repaint(); this.update(); this.picture.draw(); });
  }

  end() {
    this.model.off("change:state", this.restored);
    this.unthemed();
    this.outline.end();
    this.maps.end();
    this.picture.end();
  }

  // Loading and recording

  async load() {
    const done = this.busy("running the network on the picture");
    const turn = ++this.loads;
    this.at("lab").ariaBusy = "true";
    try {
      await this.#load(done);
    } finally {
      if (turn === this.loads) this.at("lab").ariaBusy = "false";
    }
  }

  /** @param {() => void} done */
  async #load(done) {
    try {
      this.network = (await ask(this.model, { ask: "network" })).content;
    } catch (error) {
      return this.refuse(error);
    } finally {
      done();
    }
    this.at("columns").hidden = !this.network.recording;
    draw(this.#title(), this.at("title"));
    if (!this.network.recording) return this.alert(this.network.failure);
    this.alert("");
    /** @type {Value[]} */
    const values = this.network.values.map((/** @type {any[]} */ [id, name, kind, shape, dtype]) => ({ id, name, kind, shape, dtype }));
    this.values = new Map(values.map((value) => [value.id, value]));
    this.named = new Map(values.map((value) => [value.name, value]));
    for (const [path, id] of this.outlined(this.network.nodes)) {
      if (!this.named.has(path)) this.named.set(path, this.value(id));
    }
    this.questions.about(this.network.recording);
    this.found = null;
    this.answering.begin(this.network);
    this.at("lab").classList.toggle("overlaid", Boolean(this.network.picture && (this.network.found || this.network.segments)));
    this.outline.show(this.network, this.values);
    if (this.network.error) this.alert(`the network raised an error after ${this.network.steps} steps: ${this.network.error}`);
    await this.#openInput();
    await this.restore();
  }

  #title() {
    const { name, picture_name, picture, frames, steps, parameters, seconds } = this.network;
    const short = html`<b title=${name}>${name.split("/").at(-1)}</b>`;
    if (!this.network.recording) return short;
    const input = this.network.values.find((/** @type {any[]} */ v) => v[0] === this.network.inputs[0]);
    const on = picture_name ? html` on <b>${picture_name}</b>` : nothing;
    const clip = frames > 1 ? `, ${frames} frames` : "";
    const size = picture ? `seen at ${picture[1]}×${picture[0]}${clip}` : input ? shapeText(input[3]) : "";
    return html`${short}${on} <small>${size} · ${count(steps)} steps · ${count(parameters)} parameters · ${
      seconds < 1 ? `${Math.round(seconds * 1e3)} ms` : `${seconds.toFixed(1)} s`}</small>`;
  }

  async #openInput() {
    const { picture, frames, inputs } = this.network;
    try {
      if (picture) this.picture.open(await this.questions.picture(), frames, null);
      else if (inputs.length) this.picture.open(null, 1, await this.questions.sheet(this.value(inputs[0]), 0));
    } catch (error) {
      this.refuse(error);
    }
  }

  /** @param {File | null | undefined} file */
  async take(file) {
    if (!file) return;
    if (file.size > LARGEST_FILE) {
      return this.alert(`${file.name} is larger than 32 MiB, the most this page takes; make it smaller`);
    }
    const done = this.busy(`running ${this.network?.name ?? "the network"} on ${file.name}`);
    try {
      await ask(this.model, { ask: "picture", name: file.name }, [await file.arrayBuffer()]);
    } catch (error) {
      return this.refuse(error);
    } finally {
      done();
    }
    // Its detections are others: the one walked back is not among them.
    if (this.state.found !== null) this.model.set("state", format(fresh(this.state, "")));
    await this.load();
  }

  // Where the reader stands

  restore() {
    if (!this.network?.recording) return;
    let state = parse(this.model.get("state") ?? "");
    const last = this.network.values.findLast((/** @type {any[]} */ v) => v[2] === "computed") ?? this.network.values.at(-1);
    const value = this.named.get(state.at) ?? this.values.get(this.network.output ?? last?.[0]);
    if (!value) return;
    if (!this.named.has(state.at)) state = fresh(state, value.name);
    const { found } = this.network;
    if (!found?.detections.some((/** @type {any} */ d) => d.number === state.found)) state = { ...state, found: null, station: null };
    if (state.index && !inside(state.index, value.shape)) state = { ...state, index: null, trail: [] };
    const trail = state.trail.filter((e) => inside(e.index, this.named.get(e.at)?.shape));
    const done = this.go({ ...state, trail: trail.length === state.trail.length ? trail : [] });
    this.moved = false; // nobody asked for it: the page does not scroll
    return done;
  }

  /**
   * @param {Partial<State>} change
   * @param {boolean} [follow] whether the keyboard goes along to the numbers
   * @param {boolean} [scroll] whether a narrow page does
   */
  go(change, follow = false, scroll = true) {
    this.moved = scroll && change.index !== undefined;
    this.state = { ...this.state, ...change };
    this.model.set("state", format(this.state));
    this.model.save_changes();
    const same = Object.keys(change).every((name) => name === "least" || name === "tint");
    return same ? this.answering.show(() => true) : this.update(follow);
  }

  async update(follow = false) {
    const turn = ++this.turn;
    const value = this.named.get(this.state.at);
    if (!value || !this.network?.recording) return;
    this.outline.select(value.id);
    try {
      await Promise.all([
        this.answering.show(() => turn === this.turn), this.#showMaps(value, turn), this.#showNumbers(value, turn, follow),
      ]);
    } catch (error) {
      if (turn === this.turn) this.refuse(error);
    }
  }

  /** @param {Value} value @param {number} turn */
  async #showMaps(value, turn) {
    const first = value.shape.length ? Math.min(this.state.first, Math.max(0, value.shape[0] - 1)) : 0;
    const sheet = await this.questions.sheet(value, first);
    const scale = this.state.scale === "network" ? await this.questions.scale() : 0;
    if (turn !== this.turn) return;
    const labels = value.id === this.network.output ? this.network.categories : null;
    const empty = value.shape.includes(0);
    const bars = !empty && suits(sheet, labels !== null);
    this.at("sheet").hidden = bars || empty;
    this.at("bars").hidden = !bars;
    this.at("legend").hidden = bars || empty;
    this.at("blank").textContent = empty ? `Empty: its shape is ${value.shape.join("×")}.` : "";
    if (bars) {
      const numbers = await this.questions.numbers(sheet, 0);
      if (turn !== this.turn) return;
      this.bars.show(value, numbers, labels, this.state.index?.at(-1) ?? null);
      this.at("readout").textContent = "";
    }
    const axes = bars || empty ? null : this.maps.show(sheet, value, this.state, scale);
    this.axes = axes;
    const zoom = (/** @type {number} */ by) => this.maps.zoom(by);
    controls(this.at("controls"), value, axes, this.state.scale, { change: (change) => this.go(change), zoom });
  }

  /** @param {Value} value @param {number} turn @param {boolean} follow */
  async #showNumbers(value, turn, follow) {
    const { index, trail } = this.state;
    if (!index) {
      const had = this.at("arithmetic").contains(document.activeElement);
      this.found = null;
      this.arithmetic.invite(true);
      this.picture.light(null);
      if (had) this.focusMaps();
      return;
    }
    const found = await this.questions.explain(value, index, 0).catch((error) => error);
    if (turn !== this.turn) return;
    if (found instanceof Error) return this.#unexplained(found);
    const inner = this.at("arithmetic");
    const other = this.found?.value !== found.value || String(this.found?.index) !== String(found.index);
    const had = follow || (other && inner.contains(document.activeElement));
    this.found = found;
    this.arithmetic.show(found, trail, this.values, value.kind === "input" ? this.#pixel(value, index) : null);
    if (had) this.arithmetic.focus();
    if (this.moved && matchMedia("(max-width: 760px)").matches) inner.scrollIntoView({ block: "start" });
    this.moved = false;
    // What suppression or a ranking chose depends on all it chose from: there is nothing to light.
    if (found.rule === "chosen" && this.state.station !== null && !trail.length) return this.picture.light(null);
    const lit = await this.questions.region(value, index).catch((error) => error);
    if (turn !== this.turn) return;
    if (lit instanceof Refusal && lit.status === 409) throw lit;
    this.picture.light(lit instanceof Error ? null : lit);
    this.arithmetic.warn(lit instanceof Error ? "" : lit.warning);
  }

  /** What the picture shows where an input's number lies. @param {Value} value @param {number[]} index */
  #pixel(value, index) {
    if (!this.network.picture || value.id !== this.network.inputs[0]) return null;
    return this.picture.pixel(index, value.shape);
  }

  /** A step that cannot be taken apart says why, in the place of its numbers. @param {Error} error */
  #unexplained(error) {
    if (error instanceof Refusal && error.status === 409) throw error;
    this.found = null;
    this.arithmetic.fail(error.message);
    this.picture.light(null);
  }

  // Moves

  /** @param {number} id @param {boolean} follow */
  async choose(id, follow) {
    const value = this.value(id);
    await this.go(fresh(this.state, value.name));
    if (follow) this.focusMaps();
  }

  /**
   * A number of the sheet that is seen, which may not yet be the one asked for last.
   * @param {Value} value @param {number[]} index @param {boolean} follow
   */
  open(value, index, follow) {
    return this.go({ at: value.name, index, trail: [], station: null, first: index[0] ?? 0, held: index }, follow);
  }

  /** @param {Value} value @param {number} place @param {boolean} follow */
  openBar(value, place, follow) {
    const ahead = value.shape.map(() => 0).slice(0, -1);
    this.open(value, value.shape.length ? [...ahead, place] : [], follow);
  }

  /** @param {number} id @param {number[]} index */
  follow(id, index) {
    const { at, index: from, trail } = this.state;
    const passed = from ? [...trail, { at, index: from }] : trail;
    return this.go({ at: this.value(id).name, index, trail: passed, first: index[0] ?? 0, held: index, side: null, zoom: 0 });
  }

  /** @param {number} to */
  backTo(to) {
    const { at, index } = this.state.trail[to];
    return this.go({ at, index, trail: this.state.trail.slice(0, to), first: index[0] ?? 0, held: index, side: null, zoom: 0 });
  }

  /** One number back, or one station; from the first, back to the maps alone. */
  back() {
    const { trail, index, station, found } = this.state;
    const held = this.axes?.heldStill() ?? [];
    if (trail.length) this.backTo(trail.length - 1);
    else if (station) this.answering.station(station - 1);
    else if (index && station === null) this.go({ index: null, held });
    else if (index || found !== null) this.go({ index: null, held, found: null, station: null });
  }

  async more() {
    const { found } = this;
    const value = found && this.values.get(found.value);
    if (!found || !value) return;
    const turn = this.turn;
    const next = await this.questions.explain(value, found.index, found.groups.length);
    if (turn !== this.turn) return;
    this.found = { ...next, start: 0, groups: [...found.groups, ...next.groups] };
    this.arithmetic.show(this.found, this.state.trail, this.values);
  }

  /**
   * Paths of modules that pass on what a module inside them made: names one may link to as well.
   * @param {import("./outline.js").Node[]} nodes
   * @returns {[string, number][]}
   */
  outlined(nodes) {
    return nodes.flatMap((node) => [
      ...(node.path && node.values?.length ? [/** @type {[string, number]} */ ([node.path, node.values[0]])] : []),
      ...this.outlined(node.children ?? []),
    ]);
  }

  /** @param {number} id @returns {Value} */
  value(id) {
    return /** @type {Value} */ (this.values.get(id));
  }

  focusMaps() {
    if (this.at("bars").hidden) this.at("sheet").focus();
    else this.bars.focus();
  }

  // The page around

  help() {
    showKeys(/** @type {HTMLDialogElement} */ (this.root.querySelector("dialog")));
  }

  /** A click on empty space in the numbers is one step back. */
  #empty = (/** @type {MouseEvent} */ event) => {
    const target = /** @type {Element} */ (event.target);
    if (target.matches(".arithmetic, .invitation, .numbers")) this.back();
  };

  #key = (/** @type {KeyboardEvent} */ event) => {
    const target = /** @type {Element} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey || target.closest("dialog, select, input[type=range]")) return;
    if (event.key === "1") this.outline.focus();
    else if (event.key === "2") this.focusMaps();
    else if (event.key === "3") this.arithmetic.focus();
    else if (event.key === "4") this.answering.list.focus();
    else if (event.key === "Backspace" || event.key === "Escape") this.back();
    else if (event.key === "s") this.go({ scale: SCALES[(SCALES.indexOf(this.state.scale) + 1) % 3] });
    else if (event.key === "o") chooseFile(this.root);
    else if (event.key === "?") this.help();
    else return;
    event.preventDefault();
  };

  /** Says what is being waited for, with the seconds; call the result when done. @param {string} doing */
  busy(doing) {
    const el = this.at("progress");
    const began = performance.now();
    const say = () => {
      const seconds = (performance.now() - began) / 1000;
      el.textContent = seconds < 1 ? `${doing}…` : `${doing}… ${seconds.toFixed(0)} s`;
    };
    const timer = setInterval(say, 500);
    say();
    return () => { clearInterval(timer); el.textContent = ""; };
  }

  /** @param {unknown} error */
  refuse(error) {
    if (error instanceof Refusal && error.status === 409) return void this.load();
    this.alert(error instanceof Error ? error.message : String(error));
  }

  /** @param {string} sentence */
  alert(sentence) {
    const el = this.at("alert");
    draw(sentence ? html`<span>${sentence}</span>
      <button type="button" aria-label="Dismiss" @click=${() => this.alert("")}>×</button>` : nothing, el);
  }
}

/** @param {number[]} index @param {number[] | undefined} shape */
function inside(index, shape) {
  return Boolean(shape) && index.length === shape?.length && index.every((i, axis) => i < shape[axis]);
}
