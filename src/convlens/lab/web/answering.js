// The network's answer and the reader's way into it: its list, its marks on the picture, its walks back.

import { Answer, NOTHING } from "./answer.js";
import { Refusal } from "./asking.js";
import { Overlay } from "./overlay.js";
import { fresh } from "./state.js";

/**
 * @typedef {import("./state.js").State} State
 * @typedef {import("./questions.js").Walk} Walk
 *
 * @typedef {object} Page what the page does for it
 * @property {any} network
 * @property {State} state
 * @property {(id: number) => import("./outline.js").Value} value
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
      score: (/** @type {import("./answer.js").Score} */ score) => this.#number(score.index),
      detection: (/** @type {number} */ number) => this.#detection(number),
      station: (/** @type {number} */ k) => this.station(k),
      pixel: (/** @type {number[]} */ index) => this.#number(index),
      change: (/** @type {Partial<State>} */ change) => void page.go(change),
      point: (/** @type {Partial<import("./answer.js").Pointed>} */ pointed) => this.#point(pointed),
      back: () => page.back(),
    };
    this.list = new Answer(el, actions);
    this.overlay = new Overlay(questions, actions);
  }

  /** Another recording. @param {any} network */
  begin(network) {
    [this.#walk, this.#pointed] = [null, NOTHING];
    this.overlay.begin(network);
  }

  /** Shows the answer where the reader stands. @param {() => boolean} wanted whether it still is */
  async show(wanted) {
    const { network, state } = this.page;
    const walks = network.found?.walks && state.found !== null;
    const known = this.#walk?.detection === state.found ? this.#walk : null;
    this.#draw(walks ? known : null);
    if (!walks || known) return;
    try {
      this.#walk = await this.questions.walk(state.found ?? 0);
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

  /** Follows a number of the answer. @param {number[]} index */
  #number(index) {
    const { network, state } = this.page;
    const { name } = this.page.value(network.segments?.value ?? network.output);
    void this.page.go({ ...fresh(state, name), index, held: index, first: index[0] ?? 0 });
  }

  /** The first station of a detection's walk, where there is one; else its score. @param {number} number */
  #detection(number) {
    const { network, state } = this.page;
    if (number === state.found && !state.trail.length && !state.station) return this.page.back();
    if (network.found.walks) return void this.station(0, number);
    const { name } = this.page.value(network.found.scores);
    void this.page.go({ ...fresh(state, name), found: number, index: [number], held: [number], first: number }, false, false);
  }

  /** Opens a station's number. @param {number} k @param {number | null} [number] of the detection */
  async station(k, number = this.page.state.found) {
    if (number === null) return;
    const done = this.page.busy("walking the detection back");
    let walk;
    try {
      walk = await this.questions.walk(number);
    } catch (error) {
      // The list says why.
      const { state } = this.page;
      return this.page.go({ ...fresh(state, state.at), found: number }, false, false);
    } finally {
      done();
    }
    const station = walk.stations[k];
    if (!station) return;
    this.#point({ detection: null, station: null }); // what was pointed at has moved
    const { value, index } = station;
    const at = this.page.value(value).name;
    return this.page.go({ ...fresh(this.page.state, at), found: number, station: k, index, held: index, first: index[0] ?? 0 }, false, false);
  }

  /** What the pointer is on, in the list and on the picture. @param {Partial<import("./answer.js").Pointed>} pointed */
  #point(pointed) {
    const known = this.#pointed;
    if (Object.entries(pointed).every(([name, at]) => known[/** @type {keyof typeof known} */ (name)] === at)) return;
    this.#pointed = { ...this.#pointed, ...pointed };
    this.list.point(this.#pointed);
    this.overlay.point(this.#pointed);
  }
}
