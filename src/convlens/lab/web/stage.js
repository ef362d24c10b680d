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
import { NumberView } from "./number.js";
import { PictureView } from "./picture.js";
import { Questions } from "./questions.js";
import { SheetView } from "./sheet.js";
import { DISTANCES, START, format, parse } from "./state.js";
import { Strip } from "./strip.js";
import { Tour } from "./tour.js";

const LARGEST_FILE = 32 * 2 ** 20;
const SETTLED = 200; // milliseconds after which a hover is written to the address
const ELSEWHERE = { from: null, channel: null, trail: [], zoom: 0 }; // of a state at another value

/** @param {{ model: Model, el: HTMLElement }} host */
export function render({ model, el }) {
  const stage = new Stage(model, el);
  stage.load();
  return () => stage.end();
}

/** Whether an index lies in a shape. @param {number[] | null} index @param {number[] | undefined} shape */
const inside = (index, shape) => Boolean(index && shape && index.length === shape.length && index.every((i, axis) => i < shape[axis]));

export class Stage {
  state = { ...START };
  net = new Net(/** @type {NetworkAnswer} */ (/** @type {Partial<NetworkAnswer>} */ ({ recording: 0, steps: [], calls: [], values: [], scores: [] }))); // until the first answer
  base = 0; // the recording that changes are made to
  /** @type {Laid | null} */ laid = null;
  #loads = 0;
  #turn = 0;
  #later = 0;

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
    this.picture = new PictureView(this, "pv", "The picture, with the answer on it");
    this.inspector = new Inspector(this);
    this.menus = new Menus(this);
    this.tour = new Tour(this, "tour");
    this.changes = new Changes(this);
    this.compare = new Compare(this, "compared");
    this.failure = new Failure(this, "failure", "Where the network failed");
    this.end = this.#listen();
  }

  /** Return an element of the frame by its class. @param {string} name */
  at(name) {
    return /** @type {HTMLElement} */ (this.el.querySelector(`.${name}`));
  }

  /** Follow the reader; return what ends that. */
  #listen() {
    const gone = new AbortController(), { signal } = gone, restored = () => this.restore();
    let late = 0, turned = 0;
    const resized = new ResizeObserver(() => { clearTimeout(late); late = setTimeout(() => this.draw(), 60); });
    this.model.on("change:state", restored);
    const keyed = /** @type {HTMLElement} */ (this.embedded ? this.el : this.el.ownerDocument.documentElement); // a notebook's keys are its own
    keyed.addEventListener("keydown", (event) => press(this, event), { signal });
    this.el.addEventListener("wheel", (event) => { // ctrl and the wheel, or a pinch
      if (!event.ctrlKey) return;
      event.preventDefault();
      turned += event.deltaY;
      if (Math.abs(turned) < 60) return;
      if (turned < 0) this.nearer(); else this.farther();
      turned = 0;
    }, { passive: false, signal });
    resized.observe(this.embedded ? this.el : this.at("columns"));
    const unthemed = onTheme(this.el, () => this.draw());
    return () => {
      this.bench.stop();
      this.model.off("change:state", restored);
      gone.abort();
      resized.disconnect();
      unthemed();
    };
  }

  // Loading

  /** Wait for what takes long; return it, null where it failed or is no longer wanted. @template T @param {string} text @param {() => Promise<T>} asked */
  async #awaited(text, asked) {
    const turn = ++this.#loads, done = this.busy(text);
    try {
      const answer = await asked();
      return turn === this.#loads ? answer : null;
    } catch (error) {
      if (turn === this.#loads) this.alert(error);
      return null;
    } finally {
      done();
    }
  }

  async load() {
    const told = await this.#awaited("Running the network", () => this.questions.network());
    this.el.ariaBusy = "false";
    if (!told) return;
    const { recording, failure } = told;
    this.net = new Net(told);
    this.alert(recording ? "" : failure);
    title(this);
    this.menus.draw();
    this.at("columns").hidden = !recording;
    if (!recording) return;
    this.base = recording;
    this.questions.about(recording);
    this.laid = null;
    this.changes.begin();
    this.compare.begin();
    this.strip.load();
    await this.restore();
  }

  /** Show another recording of the same network, whose sizes may differ. @param {NetworkAnswer} told */
  async reopen(told) {
    this.net = new Net(told);
    this.questions.about(told.recording);
    this.strip.load();
    const { value } = this;
    if (value && !inside(this.state.index, value.shape)) this.state.index = this.carry(value);
  }

  /** The recording whose numbers are shown beside: the one before the changes, or the one compared with. */
  get beside() {
    return this.changes.any ? this.base : this.compare.other;
  }

  /** Run the network on a file that was dropped or chosen, for one of its inputs. @param {File | null | undefined} file @param {number} [slot] */
  async take(file, slot = 0) {
    if (!file) return;
    const { name } = file;
    if (name.endsWith(".py")) return this.alert(`${name} is a program, which this page never runs; open it from the command line: convlens lab ${name}`);
    if (file.size > LARGEST_FILE) return this.alert(`${name} is larger than 32 MiB, the most this page takes; make it smaller`);
    const bytes = await file.arrayBuffer();
    await this.running(`Running ${this.net.told.name || "the network"} on ${name}`, () => look(this.model, name, bytes, slot));
  }

  /** Wait for another recording, and show it. @param {string} text @param {() => Promise<object>} asked */
  async running(text, asked) {
    if (await this.#awaited(text, asked)) await this.load();
  }

  // Where the reader stands

  /** The value that is open. */
  get value() {
    return this.net.named(this.state.at);
  }

  restore() {
    const { net } = this;
    if (!net.told.recording) return;
    const state = parse(String(this.model.get("state") ?? "")), value = net.named(state.at);
    if (!value && !this.#failed(state.at)) Object.assign(state, { at: "", index: null }, ELSEWHERE, this.doorway(), state.near === START.near ? {} : { near: state.near });
    else if (value && !inside(state.index, value.shape)) Object.assign(state, { index: this.carry(value), trail: [] });
    state.trail = state.trail.filter((stop) => inside(stop.index, net.named(stop.at)?.shape));
    this.state = state;
    if (!value) this.#write(); // so that the first step from the door leads back to it
    return this.changes.settled ? this.draw() : this.changes.settle();
  }

  /** The failing call, where it has this name. @param {string} at */
  #failed(at) {
    const { fault } = this.net.told;
    return fault && at === faultName(fault) ? fault : null;
  }

  /** Where the page opens: the picture with what was found on it, else the window of the first convolution. @returns {Partial<State>} */
  doorway() {
    const { door, fault, picture_value } = this.net.told;
    const open = (/** @type {string} */ at, /** @type {number[] | null} */ index) => ({ at, index, near: /** @type {const} */ ("window"), way: /** @type {const} */ ("made"), channel: null, trail: [] });
    if (fault) return open(faultName(fault), null);
    const picture = this.net.values.get(picture_value ?? -1);
    if (picture && this.picture.holds(picture)) return open(picture.name, picture.shape.map((size, axis) => (axis < 2 ? 0 : size >> 1)));
    return door ? open(this.net.value(door.value).name, door.index) : {};
  }

  /** Go somewhere. @type {(change: Partial<State>) => Promise<void>} */
  go = async (change) => {
    this.bench.stop();
    const { state, net } = this, { at = state.at } = change, value = net.named(at);
    if (!value && !this.#failed(at)) return;
    const other = value?.name !== state.at && this.value !== value;
    const index = value && other && !change.index ? { index: this.carry(value) } : {};
    this.state = { ...state, ...(other ? ELSEWHERE : {}), ...change, ...index };
    this.#write();
    if (!this.changes.settled) return this.changes.settle();
    await this.#zoomed(DISTANCES.indexOf(this.state.near) - DISTANCES.indexOf(state.near));
  };

  /** Move under the pointer: nothing is asked, and the address follows when the pointer rests. @param {Partial<State>} change */
  move(change) {
    if (change.index && !inside(change.index, this.value?.shape)) return; // of a bench that is about to go
    Object.assign(this.state, change);
    if (this.state.near === "window" && !this.picture.holds(this.value)) this.bench.update();
    this.follow();
    clearTimeout(this.#later);
    this.#later = setTimeout(() => this.#write(), SETTLED);
  }

  /** Open a number that another one led to. @param {number} id @param {number[]} place */
  open(id, place) {
    const { at, trail, index } = this.state, [source, there] = this.net.through(id, place);
    return this.go({ at: this.net.value(source).name, index: there, near: "number", trail: [...trail, { at, index: index ?? [] }] });
  }

  #write() {
    clearTimeout(this.#later);
    this.model.set("state", format(this.state));
    this.model.save_changes();
  }

  /** Draw, growing or shrinking into the new distance where the reader has not asked for stillness. @param {number} by */
  async #zoomed(by) {
    if (!by || this.embedded || !document.startViewTransition || matchMedia("(prefers-reduced-motion: reduce)").matches) return this.draw();
    document.documentElement.dataset.zoom = by > 0 ? "in" : "out";
    const transition = document.startViewTransition(() => this.draw());
    for (const end of [transition.ready, transition.finished]) end.catch(() => {}); // one that is overtaken rejects
    await transition.updateCallbackDone;
  }

  /** Return the same place in another value, as nearly as it goes. @param {ValueRow} value */
  carry({ id, shape }) {
    const from = this.value, { output, scores } = this.net.told, rank = shape.length;
    const index = this.state.index ?? from?.shape.map(() => 0) ?? [];
    if (!from || from.shape.length !== rank || rank < 3) return (id === output && scores[0]?.index) || shape.map(() => 0);
    const space = rank - this.net.spatial(id);
    const at = (/** @type {number} */ axis) => (axis < space ? index[axis] : Math.round(((index[axis] + 0.5) * shape[axis]) / from.shape[axis] - 0.5));
    return shape.map((size, axis) => Math.max(0, Math.min(size - 1, at(axis))));
  }

  // The four distances

  nearer() {
    const { near } = this.state;
    return near === "number" ? this.number.into() : this.go({ near: DISTANCES[DISTANCES.indexOf(near) + 1] });
  }

  farther() {
    const { near, trail } = this.state, stop = trail.at(-1);
    if (near === "number" && stop) return this.go({ ...stop, trail: trail.slice(0, -1) });
    if (near !== "network") return this.go({ near: DISTANCES[DISTANCES.indexOf(near) - 1] });
  }

  /** Go to a map before or after this one. @param {number} by */
  turn(by) {
    const { value, state } = this;
    if (!value || !state.index || value.shape.length < 3) return;
    const axis = value.shape.length - this.net.spatial(value.id) - 1, maps = value.shape[axis];
    if (axis >= 0) return this.go({ index: state.index.map((at, i) => (i === axis ? (at + by + maps) % maps : at)), channel: null });
  }

  /** @param {number} by */
  turnInput(by) {
    const { laid } = this, maps = laid?.seat("kernel")?.shape[0] ?? 1;
    if (laid && maps > 1) return this.go({ channel: (laid.channel ?? 0) - laid.inGroup + ((laid.inGroup + by + maps) % maps) });
  }

  /** @param {number} by */
  neighbour(by) {
    const ids = this.strip.order(), at = ids.indexOf(this.value?.id ?? -1);
    const next = ids[Math.max(0, Math.min(ids.length - 1, at + by))];
    if (next !== undefined) return this.go({ at: this.net.value(next).name });
  }

  // Changing

  /** The reader's changes without those of one thing. @param {string} at @param {Change["index"]} index */
  #others(at, index) {
    return this.state.set.filter((each) => each.at !== at || String(each.index) !== String(index));
  }

  /** Change something: the page shows at once what it can compute, and the replay confirms it. @param {Change} change */
  change({ at, index, to }) {
    if (typeof index === "object" && to !== "mute") this.bench.preview({ at, index, to });
    return this.go({ set: [...this.#others(at, index), { at, index, to }] });
  }

  /** @param {string} at @param {Change["index"]} index */
  restoreNumber(at, index) {
    return this.go({ set: this.#others(at, index) });
  }

  undo() {
    return this.go({ set: this.state.set.slice(0, -1) });
  }

  /** Whether the reader changed something. @param {string} at @param {Change["index"]} index */
  isSet(at, index) {
    return this.#others(at, index).length < this.state.set.length;
  }

  // Drawing

  /** Whether the stage is a part of a page, as in a notebook. */
  get embedded() {
    return Boolean(this.el.dataset.embedded);
  }

  /** The pixels from top to bottom. */
  get height() {
    return this.embedded ? this.el.clientHeight : innerHeight;
  }

  /** The pixels that the stage has in its middle. */
  get room() {
    const main = /** @type {HTMLElement} */ (this.el.querySelector("main")), { paddingLeft, paddingRight } = getComputedStyle(main);
    return main.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight);
  }

  async draw() {
    const { state, value, picture, net } = this, { near } = state, fault = this.#failed(state.at);
    if ((!value && !fault) || !net.told.recording) return;
    if (!this.el.clientWidth) return void requestAnimationFrame(() => this.el.clientWidth && this.draw()); // a notebook hides its cells at times
    const turn = ++this.#turn, current = () => turn === this.#turn;
    this.el.ariaBusy = "true";
    if (this.laid?.answer.value !== value?.id) this.laid = null; // no number stands under another one's name
    if (this.number.answer?.explanation?.value !== value?.id) this.number.answer = null;
    await this.compare.settle();
    if (!current()) return;
    this.el.dataset.near = near;
    this.compare.draw();
    this.menus.write();
    drawBar(this);
    this.strip.draw();
    const pictured = near === "window" && picture.holds(value);
    this.el.toggleAttribute("data-picture", pictured);
    try {
      if (near === "network") this.#put(this.strip.below);
      else if (near === "window" && value && !pictured && net.maker(value.id)) await this.#drawBench(value, current);
      else {
        const part = fault ? this.failure : pictured ? picture : near === "number" ? this.number : this.sheet;
        await part.draw(current);
        if (current()) this.#put(part.el);
      }
    } catch (error) {
      if (current()) this.#refuse(error);
    }
    if (!current()) return;
    this.follow();
    this.tour.draw();
    this.el.ariaBusy = "false";
  }

  /** Show why there is nothing to show. @param {unknown} error */
  #refuse(error) {
    this.laid = this.number.answer = null;
    this.at("body").replaceChildren();
    this.say("");
    this.alert(error);
    this.#refused = true;
  }

  #refused = false;

  /** Put a part on the stage; one that is there stays, with its focus. @param {HTMLElement} el */
  #put(el) {
    if (this.#refused) this.alert("");
    this.#refused = false;
    if (this.at("body").firstChild !== el) this.at("body").replaceChildren(el);
  }

  /** @param {ValueRow} value @param {() => boolean} current */
  async #drawBench({ id }, current) {
    const { state: { index, channel }, questions, beside } = this;
    if (!index) return;
    const other = beside !== null && this.bench.side === "other"
      ? await questions.bench(id, index, channel ?? this.laid?.answer.channel ?? null, questions.recording, beside).catch(() => null) : null;
    const there = other?.seats.some(({ role }) => role === "real") ? other : null; // in the same size as here
    const answer = there ?? await questions.bench(id, index, channel, beside);
    if (!current()) return;
    this.laid = new Laid(answer, this.net.maker(id), this.net, channel);
    this.laid.beside = answer === there;
    if (answer.refusal) this.alert(answer.refusal);
    this.#put(this.bench.el);
    this.bench.draw(this.laid);
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
    el.textContent = error instanceof Error ? error.message : String(error);
    el.hidden = !el.textContent;
  }

  /** Say what takes long, and may be cancelled; return what ends it. @param {string} text */
  busy(text) {
    const el = this.at("busy"), cancel = () => ask(this.model, "cancel", {}).catch((error) => this.alert(error));
    const late = setTimeout(() => draw(html`${text} … <button type="button" @click=${cancel}>Cancel</button>`, el), 250);
    return () => { clearTimeout(late); draw(nothing, el); };
  }
}
