// The lab: outline, maps and arithmetic of one network on one picture, over any host's model.

import { html, nothing, render as draw } from "./vendor/lit-html.js";
import { Answering } from "./answering.js";
import { NO_NETWORK } from "./answers.js";
import { Arithmetic } from "./arithmetic.js";
import { look, Refusal } from "./asking.js";
import { Bars, suits } from "./bars.js";
import { onTheme } from "./colours.js";
import { SCALES, controls } from "./controls.js";
import { chooseFile, frame, title } from "./frame.js";
import { showKeys } from "./keys.js";
import { inside, valuesByName } from "./names.js";
import { Outline } from "./outline.js";
import { Picture } from "./picture.js";
import { Questions } from "./questions.js";
import { SheetView } from "./sheet.js";
import { START, format, fresh, parse } from "./state.js";

/**
 * @typedef {import("./answers.js").NumberAnswer} NumberAnswer
 * @typedef {import("./asking.js").Model} Model
 * @typedef {import("./answers.js").ValueRow} Value
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
  network = NO_NETWORK;
  /** @type {Map<number, Value>} */ values = new Map();
  /** @type {Map<string, Value>} */ named = new Map();
  /** @type {import("./answers.js").Explained | null} */ explained = null;
  turn = 0;
  loads = 0;
  /** @type {import("./axes.js").Axes | null} */ axes = null;
  moved = false; // whether the reader has moved to another number

  /** @param {Model} model @param {HTMLElement} el */
  constructor(model, el) {
    this.model = model;
    this.questions = new Questions(model);
    this.root = el;
    frame(el, { take: (file) => this.take(file), help: () => this.help(), key: this.#key, click: this.#empty });
    const at = (/** @type {string} */ name) => /** @type {HTMLElement} */ (el.querySelector(`.${name}`));
    this.at = at;
    this.outline = new Outline(at("steps"), { choose: (value, follow) => this.choose(value, follow) });
    /** @type {Answering} */
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
      this.network = await this.questions.network();
    } catch (error) {
      return this.refuse(error);
    } finally {
      done();
    }
    this.at("columns").hidden = !this.network.recording;
    draw(title(this.network), this.at("title"));
    if (!this.network.recording) return this.alert(this.network.failure);
    this.alert("");
    const { detections, picture, segments, values } = this.network;
    this.values = new Map(values.map((value) => [value.id, value]));
    this.named = valuesByName(this.network);
    this.questions.about(this.network.recording);
    this.explained = null;
    this.answering.begin(this.network);
    this.at("lab").classList.toggle("overlaid", Boolean(picture && (detections || segments)));
    this.outline.show(this.network, this.values);
    if (this.network.error) this.alert(`the network raised an error after ${this.network.steps} steps: ${this.network.error}`);
    await this.#openInput();
    await this.restore();
  }

  async #openInput() {
    const { picture, frames, inputs } = this.network;
    try {
      if (picture) this.picture.open(await this.questions.picture(), frames ?? 1, null);
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
    const done = this.busy(`running ${this.network.name || "the network"} on ${file.name}`);
    try {
      await look(this.model, file.name, await file.arrayBuffer());
    } catch (error) {
      return this.refuse(error);
    } finally {
      done();
    }
    // The new picture has other detections: the one walked back is not among them.
    if (this.state.detection !== null) this.model.set("state", format(fresh(this.state, "")));
    await this.load();
  }

  // Where the reader stands

  restore() {
    const { detections, output, recording, values } = this.network;
    if (!recording) return;
    let state = parse(String(this.model.get("state") ?? ""));
    const last = values.findLast((v) => v.kind === "computed") ?? values.at(-1);
    const value = this.named.get(state.at) ?? this.values.get(output ?? last?.id ?? -1);
    if (!value) return;
    if (!this.named.has(state.at)) state = fresh(state, value.name);
    const known = detections?.best.some((d) => d.number === state.detection);
    if (!known) state = { ...state, detection: null, station: null };
    if (state.index && !inside(state.index, value.shape)) state = { ...state, index: null, trail: [] };
    const trail = state.trail.filter((e) => inside(e.index, this.named.get(e.at)?.shape));
    const done = this.go({ ...state, trail: trail.length === state.trail.length ? trail : [] });
    this.moved = false; // the reader has not asked for it, so the page does not scroll
    return done;
  }

  /**
   * @param {Partial<State>} change
   * @param {boolean} [follow] whether the keyboard goes along to the numbers
   * @param {boolean} [scroll] whether a narrow page does
   * @returns {Promise<void>}
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
    if (!value || !this.network.recording) return;
    this.outline.select(value.id);
    const first = value.shape.length ? Math.min(this.state.first, Math.max(0, value.shape[0] - 1)) : 0;
    const number = this.#number(value, first);
    try {
      await Promise.all([
        this.answering.show(() => turn === this.turn),
        this.#showMaps(value, first, number, turn),
        this.#showNumber(value, number, turn, follow),
      ]);
    } catch (error) {
      if (turn === this.turn) this.refuse(error);
    }
  }

  /**
   * Ask for the number that is open, if one is: a single question, which brings its sheet as well.
   * @param {Value} value @param {number} first @returns {Promise<NumberAnswer | Error | null>}
   */
  async #number(value, first) {
    const { index, station, trail } = this.state;
    if (!index) return null;
    // What suppression or a ranking chose depends on everything it chose from: nothing is lit.
    const choices = station === null || trail.length > 0;
    return this.questions.number(value, index, first, choices).catch((error) => error);
  }

  /** @param {Value} value @param {number} first @param {Promise<NumberAnswer | Error | null>} number @param {number} turn */
  async #showMaps(value, first, number, turn) {
    // A sheet that is held is shown at once.
    if (!this.questions.held(value, first)) await number;
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

  /** @param {Value} value @param {Promise<NumberAnswer | Error | null>} number @param {number} turn @param {boolean} follow */
  async #showNumber(value, number, turn, follow) {
    const { index, trail } = this.state;
    const inner = this.at("arithmetic");
    if (!index) {
      const had = inner.contains(document.activeElement);
      this.explained = null;
      this.arithmetic.invite(true);
      this.picture.light(null);
      if (had) this.focusMaps();
      return;
    }
    const answer = await number;
    if (turn !== this.turn || !answer) return;
    if (answer instanceof Error) return this.#unexplained(answer);
    const { explanation, refusal, region } = answer;
    if (!explanation) return this.#unexplained(new Refusal(refusal, 0));
    const before = this.explained;
    const other = before?.value !== explanation.value || String(before.index) !== String(explanation.index);
    const had = follow || (other && inner.contains(document.activeElement));
    this.explained = explanation;
    this.arithmetic.show(explanation, trail, this.values, value.kind === "input" ? this.#pixel(value, index) : null);
    if (had) this.arithmetic.focus();
    if (this.moved && matchMedia("(max-width: 760px)").matches) inner.scrollIntoView({ block: "start" });
    this.moved = false;
    this.picture.light(region);
    this.arithmetic.warn(region?.warning ?? "");
  }

  /** Return what the picture shows where an input's number lies. @param {Value} value @param {number[]} index */
  #pixel(value, index) {
    if (!this.network.picture || value.id !== this.network.inputs[0]) return null;
    return this.picture.pixel(index, value.shape);
  }

  /** Say in the place of the numbers why a number cannot be taken apart. @param {Error} error */
  #unexplained(error) {
    if (error instanceof Refusal && error.status === 409) throw error;
    this.explained = null;
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
   * Open a number of the sheet that is shown, which may not yet be the one asked for last.
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

  /** Go one number back, or one station; from the first, back to the maps alone. */
  back() {
    const { trail, index, station, detection } = this.state;
    const held = this.axes?.heldStill() ?? [];
    if (trail.length) this.backTo(trail.length - 1);
    else if (station) this.answering.station(station - 1);
    else if (index && station === null) this.go({ index: null, held });
    else if (index || detection !== null) this.go({ index: null, held, detection: null, station: null });
  }

  /** Show more terms of the number that is open. */
  async more() {
    const { explained, turn } = this;
    if (!explained) return;
    const { value, index, groups } = explained;
    const next = await this.questions.terms(value, index, groups.length);
    if (turn !== this.turn) return;
    this.explained = { ...explained, ...next, groups: [...groups, ...next.groups] };
    this.arithmetic.show(this.explained, this.state.trail, this.values);
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

  /** A click on empty space in the numbers goes one step back. */
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

  /** Say what the page waits for, with the seconds; call the result when done. @param {string} doing */
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
