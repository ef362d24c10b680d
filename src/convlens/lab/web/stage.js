// The stage: one frame, four distances, two directions; where the reader stands goes in, the screen comes out.

import { html, nothing, render as draw } from "./vendor/lit-html.js";
import { ask, look } from "./asking.js";
import { Bench } from "./bench.js";
import { Changes } from "./change.js";
import { Compare } from "./compare.js";
import { onTheme } from "./colours.js";
import { Failure, faultName } from "./failure.js";
import { drawBar, frame, title } from "./frame.js";
import { Inspector } from "./inspector.js";
import { press } from "./keys.js";
import { Laid } from "./laid.js";
import { Menus } from "./menus.js";
import { Net } from "./net.js";
import { NO_NETWORK } from "./answers.js";
import { NumberView } from "./number.js";
import { PictureView } from "./picture.js";
import { Questions } from "./questions.js";
import { SheetView } from "./sheet.js";
import { DISTANCES, START, format, fresh, parse } from "./state.js";
import { Strip } from "./strip.js";
import { Tour } from "./tour.js";

/**
 * @typedef {import("./asking.js").Model} Model
 * @typedef {import("./state.js").State} State
 * @typedef {import("./answers.js").ValueRow} ValueRow
 */

const LARGEST_FILE = 32 * 2 ** 20;
const SETTLED = 200; // milliseconds after which a hover is written to the address

/** @param {{ model: Model, el: HTMLElement }} host */
export function render({ model, el }) {
  const stage = new Stage(model, el);
  stage.load();
  return () => stage.end();
}

export class Stage {
  /** @type {State} */ state = START;
  net = new Net(NO_NETWORK);
  turnNumber = 0;
  #loads = 0;
  #later = 0;
  /** @type {Laid | null} */ laid = null;

  /** @param {Model} model @param {HTMLElement} el */
  constructor(model, el) {
    this.model = model;
    this.questions = new Questions(model);
    this.el = el;
    el.classList.add("stage");
    frame(this, el);
    this.bench = new Bench(this);
    this.strip = new Strip(this);
    this.sheet = new SheetView(this);
    this.number = new NumberView(this);
    this.picture = new PictureView(this);
    this.inspector = new Inspector(this);
    this.menus = new Menus(this);
    this.tours = new Tour(this);
    this.changes = new Changes(this);
    this.compare = new Compare(this);
    this.failure = new Failure(this);
    this.#listen();
  }

  /** Return an element of the frame by its class. @param {string} name */
  at(name) {
    return /** @type {HTMLElement} */ (this.el.querySelector(`.${name}`));
  }

  #listen() {
    const restored = () => this.restore();
    const key = (/** @type {KeyboardEvent} */ event) => press(this, event);
    let late = 0;
    const resized = new ResizeObserver(() => { clearTimeout(late); late = setTimeout(() => this.draw(), 60); });
    let turned = 0;
    const wheel = (/** @type {WheelEvent} */ event) => { // ctrl and the wheel, or a pinch
      if (!event.ctrlKey) return;
      event.preventDefault();
      turned += event.deltaY;
      if (Math.abs(turned) < 60) return;
      if (turned < 0) this.nearer(); else this.farther();
      turned = 0;
    };
    this.model.on("change:state", restored);
    this.el.ownerDocument.addEventListener("keydown", key);
    this.el.addEventListener("wheel", wheel, { passive: false });
    resized.observe(this.at("columns"));
    const unthemed = onTheme(() => this.draw());
    this.end = () => {
      this.bench.stop();
      this.model.off("change:state", restored);
      this.el.ownerDocument.removeEventListener("keydown", key);
      this.el.removeEventListener("wheel", wheel);
      resized.disconnect();
      unthemed();
    };
  }

  end = () => {};

  // Loading

  async load() {
    const turn = ++this.#loads;
    const done = this.busy("Running the network", true);
    try {
      const told = await this.questions.network();
      if (turn !== this.#loads) return;
      this.net = new Net(told);
    } catch (error) {
      this.el.ariaBusy = "false";
      return this.alert(error);
    } finally {
      done();
    }
    const { told } = this.net;
    this.alert(told.recording ? "" : told.failure);
    title(this);
    this.menus.draw();
    this.at("columns").hidden = !told.recording;
    this.el.ariaBusy = "false";
    if (!told.recording) return;
    this.base = told.recording;
    this.questions.about(told.recording);
    this.laid = null;
    this.changes.begin();
    this.compare.begin();
    this.strip.load();
    await this.restore();
  }

  /** Show another recording of the same network, whose sizes may differ. @param {import("./answers.js").NetworkAnswer} told */
  async reopen(told) {
    this.net = new Net(told);
    this.questions.about(told.recording);
    this.strip.load();
    const { value } = this;
    if (value && !inside(this.state.index, value.shape)) this.state.index = this.carry(value);
  }

  /** The recording whose numbers are shown beside: the one before the changes, or the one compared with. @returns {number | null} */
  get beside() {
    return this.changes.any ? this.base : this.compare.other;
  }

  /** The recording that changes are made to. */
  base = 0;

  /** Run the network on a file that was dropped or chosen. @param {File | null | undefined} file @param {number} [slot] the input it is for */
  async take(file, slot = 0) {
    if (!file) return;
    if (file.name.endsWith(".py")) return this.alert(`${file.name} is a program, which this page never runs; open it from the command line: convlens lab ${file.name}`);
    if (file.size > LARGEST_FILE) return this.alert(`${file.name} is larger than 32 MiB, the most this page takes; make it smaller`);
    const bytes = await file.arrayBuffer();
    await this.running(`Running ${this.net.told.name || "the network"} on ${file.name}`, () => look(this.model, file.name, bytes, slot));
  }

  /** Wait for another recording, and show it; the reader may cancel it. @param {string} text @param {() => Promise<unknown>} asked */
  async running(text, asked) {
    const turn = ++this.#loads;
    const done = this.busy(text, true);
    try {
      await asked();
    } catch (error) {
      if (turn === this.#loads) this.alert(error);
      return;
    } finally {
      done();
    }
    if (turn === this.#loads) await this.load();
  }

  // Where the reader stands

  /** The value that is open. @returns {ValueRow | undefined} */
  get value() {
    return this.net.named(this.state.at);
  }

  restore() {
    if (!this.net.told.recording) return;
    const state = parse(String(this.model.get("state") ?? ""));
    const value = this.net.named(state.at);
    if (!value && !this.#failed(state)) {
      Object.assign(state, fresh(state, ""), this.doorway(), state.near === START.near ? {} : { near: state.near });
    } else if (value && !inside(state.index, value.shape)) {
      Object.assign(state, { index: this.carry(value), trail: [] });
    }
    state.trail = state.trail.filter((stop) => inside(stop.index, this.net.named(stop.at)?.shape));
    this.state = state;
    if (!value) this.#write(); // so that the first step from the door leads back to it
    return this.changes.settled ? this.draw() : this.changes.settle();
  }

  /** The failing call, where a state stands at it. @param {State} state */
  #failed(state) {
    const { fault } = this.net.told;
    return fault && state.at === faultName(fault) ? fault : null;
  }

  /** Where the page opens: the picture with what was found on it, else the window of the first convolution. @returns {Partial<State>} */
  doorway() {
    const { door, fault, picture_value } = this.net.told;
    if (fault) return { at: faultName(fault), index: null, near: "window", trail: [] };
    const picture = this.net.values.get(picture_value ?? -1);
    if (picture && this.picture.holds(picture)) return { at: picture.name, index: picture.shape.map((size, axis) => (axis < 2 ? 0 : size >> 1)), near: "window", way: "made", channel: null, trail: [] };
    return door ? { at: this.net.value(door.value).name, index: door.index, near: "window", way: "made", channel: null, trail: [] } : {};
  }

  /**
   * Go somewhere. The place in the address is a new entry of the history, except where only the number in its map changed.
   * @type {(change: Partial<State>, how?: { replace?: boolean }) => Promise<void>}
   */
  go = async (change) => {
    this.bench.stop();
    const { state } = this;
    const value = this.net.named(change.at ?? state.at);
    const next = { ...state, ...change };
    if (!value && !this.#failed(next)) return;
    const before = DISTANCES.indexOf(state.near);
    const other = value?.name !== state.at && this.net.named(state.at) !== value;
    this.state = other ? { ...next, from: null, channel: null, trail: [], zoom: 0, ...change } : next;
    if (value && other && !change.index) this.state.index = this.carry(value);
    const after = DISTANCES.indexOf(this.state.near);
    this.#write();
    if (!this.changes.settled) return this.changes.settle();
    await this.#zoomed(after - before, () => this.draw());
  };

  /** Move under the pointer: nothing is asked, and the address follows when the pointer rests. @param {Partial<State>} change */
  move(change) {
    Object.assign(this.state, change);
    if (this.state.near === "window" && !this.picture.holds(this.value)) this.bench.update();
    this.follow();
    clearTimeout(this.#later);
    this.#later = setTimeout(() => this.#write(), SETTLED);
  }

  /** Open a number that another one led to. @param {number} id @param {number[]} index */
  open(id, index) {
    const { at, trail } = this.state;
    const [source, place] = this.net.through(id, index);
    return this.go({ at: this.net.value(source).name, index: place, near: "number", trail: [...trail, { at, index: this.state.index ?? [] }] });
  }

  #write() {
    clearTimeout(this.#later);
    this.model.set("state", format(this.state));
    this.model.save_changes();
  }

  /** Grow or shrink into the new distance, where the reader has not asked for stillness. @param {number} by @param {() => Promise<void>} paint */
  async #zoomed(by, paint) {
    if (!by || !document.startViewTransition || matchMedia("(prefers-reduced-motion: reduce)").matches) return paint();
    document.documentElement.dataset.zoom = by > 0 ? "in" : "out";
    const transition = document.startViewTransition(paint);
    for (const end of [transition.ready, transition.finished]) end.catch(() => {}); // one that is overtaken rejects
    await transition.updateCallbackDone;
  }

  /** Return the same place in another value, as nearly as it goes. @param {ValueRow} value @returns {number[]} */
  carry(value) {
    const from = this.value;
    const index = this.state.index ?? from?.shape.map(() => 0) ?? [];
    const { shape } = value;
    if (from && from.shape.length === shape.length && shape.length > 2) {
      const space = this.net.spatial(value.id);
      return shape.map((size, axis) => (axis < shape.length - space ? Math.min(size - 1, index[axis])
        : Math.max(0, Math.min(size - 1, Math.round(((index[axis] + 0.5) * size) / from.shape[axis] - 0.5)))));
    }
    const best = value.id === this.net.told.output ? this.net.told.scores[0]?.index : null;
    return best ?? shape.map(() => 0);
  }

  // The four distances

  /** @param {number} at */
  distance(at) {
    this.go({ near: DISTANCES[at] });
  }

  nearer() {
    const at = DISTANCES.indexOf(this.state.near);
    if (at < 3) return this.go({ near: DISTANCES[at + 1] });
    return this.number.into();
  }

  farther() {
    const { near, trail } = this.state;
    const at = DISTANCES.indexOf(near);
    const stop = trail.at(-1);
    if (near === "number" && stop) return this.go({ ...stop, trail: trail.slice(0, -1) });
    if (at > 0) return this.go({ near: DISTANCES[at - 1] });
  }

  /** Go to a map before or after this one. @param {number} by */
  turn(by) {
    const { value, state } = this;
    if (!value || !state.index) return;
    const axis = value.shape.length - this.net.spatial(value.id) - 1;
    if (axis < 0 || value.shape.length < 3) return;
    const maps = value.shape[axis];
    return this.go({ index: state.index.map((at, i) => (i === axis ? (at + by + maps) % maps : at)), channel: null });
  }

  /** @param {number} by */
  turnInput(by) {
    const maps = this.laid?.seat("kernel")?.shape[0] ?? 1;
    if (!this.laid || maps < 2) return;
    const first = (this.laid.channel ?? 0) - this.laid.inGroup;
    return this.go({ channel: first + ((this.laid.inGroup + by + maps) % maps) });
  }

  /** @param {number} by */
  neighbour(by) {
    const ids = this.strip.order();
    const at = ids.indexOf(this.value?.id ?? -1);
    const next = ids[Math.max(0, Math.min(ids.length - 1, at + by))];
    if (next !== undefined) return this.go({ at: this.net.value(next).name });
  }

  // Changing

  /** Change a number: the page shows at once what it can compute, and the replay confirms it. @param {import("./state.js").SetNumber} change */
  change(change) {
    const set = this.state.set.filter((each) => each.at !== change.at || String(each.index) !== String(change.index));
    this.bench.preview(change);
    return this.go({ set: [...set, change] });
  }

  /** @param {string} at @param {number[]} index */
  restoreNumber(at, index) {
    return this.go({ set: this.state.set.filter((each) => each.at !== at || String(each.index) !== String(index)) });
  }

  /** Change a stride, a padding or a dilation. @param {import("./state.js").SetArgument} change */
  argue(change) {
    return this.go({ arg: [...this.state.arg.filter((each) => each.at !== change.at || each.name !== change.name), change] });
  }

  /** Switch a map off, or on again. @param {import("./state.js").Muted} map */
  mute(map) {
    const mute = this.state.mute.filter((each) => each.at !== map.at || each.channel !== map.channel);
    return this.go({ mute: mute.length < this.state.mute.length ? mute : [...mute, map] });
  }

  undo() {
    const { set, mute, arg } = this.state;
    if (arg.length) return this.go({ arg: arg.slice(0, -1) });
    return mute.length ? this.go({ mute: mute.slice(0, -1) }) : this.go({ set: set.slice(0, -1) });
  }

  /** Take back a change that the network refuses, and say why. @param {unknown} error */
  async refuseChange(error) {
    this.alert(error);
    this.undo();
  }

  /** Whether a number is one that the reader changed. @param {string} at @param {number[]} index */
  isSet(at, index) {
    return this.state.set.some((each) => each.at === at && String(each.index) === String(index));
  }

  // Drawing

  /** The pixels that the stage has in its middle. */
  get room() {
    const main = /** @type {HTMLElement} */ (this.el.querySelector("main"));
    const style = getComputedStyle(main);
    return main.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  }

  async draw() {
    const { state, value } = this;
    const fault = this.#failed(state);
    if ((!value && !fault) || !this.net.told.recording) return;
    const turn = ++this.turnNumber;
    this.el.ariaBusy = "true";
    await this.compare.settle();
    if (turn !== this.turnNumber) return;
    this.el.dataset.near = state.near;
    this.compare.draw();
    this.menus.write();
    drawBar(this);
    this.strip.draw();
    const made = Boolean(value && this.net.maker(value.id));
    const pictured = state.near === "window" && this.picture.holds(value);
    this.el.toggleAttribute("data-picture", pictured);
    try {
      if (fault && state.near !== "network") this.#showFailure(fault);
      else if (pictured) await this.#show(this.picture, turn);
      else if (state.near === "window" && made) await this.#drawBench(turn);
      else if (state.near === "step" || (state.near === "window" && !made)) await this.#show(this.sheet, turn);
      else if (state.near === "number") await this.#show(this.number, turn);
      else this.#put(this.strip.below);
    } catch (error) {
      if (turn === this.turnNumber) this.alert(error);
    }
    if (turn !== this.turnNumber) return;
    this.follow();
    this.tours.draw();
    this.el.ariaBusy = "false";
  }

  /** @param {import("./answers.js").FaultRow} fault */
  #showFailure(fault) {
    this.laid = null;
    this.failure.draw(fault);
    this.#put(this.failure.el);
  }

  /** @param {number} turn */
  async #drawBench(turn) {
    const { state, value } = this;
    if (!value || !state.index) return;
    const answer = await this.questions.bench(value.id, state.index, state.channel, this.beside);
    if (turn !== this.turnNumber) return;
    this.laid = new Laid(answer, this.net.maker(value.id), this.net, state.channel);
    if (answer.refusal) this.alert(answer.refusal);
    this.#put(this.bench.el);
    this.bench.draw(this.laid);
  }

  /** @param {{ el: HTMLElement, draw: (turn: () => boolean) => Promise<void> }} part @param {number} turn */
  async #show(part, turn) {
    await part.draw(() => turn === this.turnNumber);
    if (turn === this.turnNumber) this.#put(part.el);
  }

  /** Put a part on the stage; one that is there stays, with its focus. @param {HTMLElement} el */
  #put(el) {
    if (this.at("body").firstChild !== el) this.at("body").replaceChildren(el);
  }

  /** What follows the pointer: the frames on the strip, the inspector. */
  follow() {
    this.strip.follow();
    this.inspector.draw();
  }

  /** Say a sentence about what is open. @param {string} sentence */
  say(sentence) {
    const el = this.at("sentence");
    if (el.textContent !== sentence) el.textContent = sentence;
  }

  playing() {
    drawBar(this);
  }

  /** Show an error, or what else the reader must know; "" takes it away. @param {unknown} error */
  alert(error) {
    const el = this.at("alert");
    const text = error instanceof Error ? error.message : String(error);
    el.hidden = !text;
    el.textContent = text;
  }

  /** Say what takes long; return what ends it. @param {string} text @param {boolean} [cancels] whether it can be cancelled */
  busy(text, cancels = false) {
    const el = this.at("busy");
    const cancel = () => ask(this.model, "cancel", {}).catch((error) => this.alert(error));
    const late = setTimeout(() => draw(html`${text} …${cancels ? html` <button type="button" @click=${cancel}>Cancel</button>` : nothing}`, el), 250);
    return () => { clearTimeout(late); draw(nothing, el); };
  }

  find() {
    this.menus.find();
  }

  tour() {
    this.tours.begin();
  }
}

/** @param {number[] | null} index @param {number[] | undefined} shape */
function inside(index, shape) {
  return Boolean(index && shape && index.length === shape.length && index.every((i, axis) => i < shape[axis]));
}

