// The network's answer and the ways into it: its list, its marks on the picture, its walks back.

import { Answer, NOTHING } from "./answer.js";
import { Refusal } from "./asking.js";
import { Overlay } from "./overlay.js";
import { fresh } from "./state.js";

/**
 * @typedef {import("./state.js").State} State
 * @typedef {import("./answers.js").WalkAnswer} Walk
 *
 * @typedef {object} Page what the page does for it
 * @property {import("./answers.js").NetworkAnswer} network
 * @property {State} state
 * @property {(id: number) => import("./answers.js").ValueRow} value
 * @property {(change: Partial<State>, follow?: boolean, scroll?: boolean) => Promise<void>} go
 * @property {() => void} back
 * @property {(doing: string) => () => void} busy
 */

export class Answering {
  /** @type {Walk | null} */ #walk = null;
  #pointed = NOTHING;

  /** @param {HTMLElement} el where the answer is listed @param {import("./questions.js").Questions} questions @param {Page} page */
  constructor(el, questions, page) {
    this.questions = questions;
    this.page = page;
    const actions = {
      detection: (/** @type {number} */ number) => this.#detection(number),
      station: (/** @type {number} */ k) => this.station(k),
      number: (/** @type {number[]} */ index) => this.#number(index),
      change: (/** @type {Partial<State>} */ change) => void page.go(change),
      point: (/** @type {Partial<import("./answer.js").Pointed>} */ pointed) => this.#point(pointed),
      back: () => page.back(),
    };
    this.list = new Answer(el, actions);
    this.overlay = new Overlay(questions, actions);
  }

  /** Begin with another recording. @param {import("./answers.js").NetworkAnswer} network */
  begin(network) {
    [this.#walk, this.#pointed] = [null, NOTHING];
    this.overlay.begin(network);
  }

  /** Show the answer where the reader stands. @param {() => boolean} wanted whether it still is */
  async show(wanted) {
    const { network, state } = this.page;
    const walks = network.detections?.walks && state.detection !== null;
    const known = this.#walk?.detection === state.detection ? this.#walk : null;
    this.#draw(walks ? known : null);
    if (!walks || known) return;
    try {
      this.#walk = await this.questions.walk(state.detection ?? 0);
    } catch (error) {
      if (!(error instanceof Error) || (error instanceof Refusal && error.status === 409)) throw error;
      if (wanted()) this.#draw(null, error.message);
      return;
    }
    if (wanted()) this.#draw(this.#walk);
  }

  /** @param {Walk | null} walk @param {string} [failure] */
  #draw(walk, failure = "") {
    const { network, state } = this.page;
    this.list.show(network, state, walk, failure);
    this.overlay.show(state, walk);
  }

  /** Follow a number of the answer. @param {number[]} index */
  #number(index) {
    const { network, state } = this.page;
    const id = network.segments?.value ?? network.output;
    if (id === null) return;
    const { name } = this.page.value(id);
    void this.page.go({ ...fresh(state, name), index, held: index, first: index[0] ?? 0 });
  }

  /** Open the first station of a detection's walk if there is one, else its score. @param {number} number */
  #detection(number) {
    const { network, state } = this.page;
    const { detections } = network;
    if (!detections) return;
    if (number === state.detection && !state.trail.length && !state.station) return this.page.back();
    if (detections.walks) return void this.station(0, number);
    const { name } = this.page.value(detections.scores);
    void this.page.go({ ...fresh(state, name), detection: number, index: [number], held: [number], first: number }, false, false);
  }

  /** Open a station's number. @param {number} k @param {number | null} [number] of the detection */
  async station(k, number = this.page.state.detection) {
    if (number === null) return;
    const done = this.page.busy("walking the detection back");
    let walk;
    try {
      walk = await this.questions.walk(number);
    } catch (error) {
      // The list says why.
      const { state } = this.page;
      return this.page.go({ ...fresh(state, state.at), detection: number }, false, false);
    } finally {
      done();
    }
    const station = walk.stations[k];
    if (!station) return;
    this.#point({ detection: null, station: null }); // what was pointed at has moved
    const { value, index } = station;
    const at = this.page.value(value).name;
    return this.page.go({ ...fresh(this.page.state, at), detection: number, station: k, index, held: index, first: index[0] ?? 0 }, false, false);
  }

  /** Mark what the pointer is on, in the list and on the picture. @param {Partial<import("./answer.js").Pointed>} pointed */
  #point(pointed) {
    const known = this.#pointed;
    if (Object.entries(pointed).every(([name, at]) => known[/** @type {keyof typeof known} */ (name)] === at)) return;
    this.#pointed = { ...this.#pointed, ...pointed };
    this.list.point(this.#pointed);
    this.overlay.point(this.#pointed);
  }
}
