// Two recordings of one shape: another picture, other weights; the first step that diverges.

import { html, nothing, render } from "./vendor/lit-html.js";
import { ask } from "./asking.js";
import { rough, short } from "./numbers.js";

/**
 * @typedef {import("./stage.js").Stage} Stage
 * @typedef {import("./answers.js").CompareAnswer} CompareAnswer
 */

export class Compare {
  /** The recording that is compared with; null where there is none. @type {number | null} */ other = null;
  /** @type {CompareAnswer | null} */ found = null;
  name = "";
  #applied = "";

  /** @param {Stage} stage */
  constructor(stage) {
    this.stage = stage;
  }

  /** Another network or picture was recorded. */
  begin() {
    [this.other, this.found, this.#applied] = [null, null, ""];
  }

  /** Compare with what the state names; whoever waits meanwhile waits for the same. */
  settle() {
    const name = this.stage.state.with;
    if (name !== this.#applied) {
      this.#applied = name;
      [this.other, this.found] = [null, null];
      this.#running = name ? this.#run(name) : Promise.resolve();
    }
    return this.#running;
  }

  /** @type {Promise<void>} */ #running = Promise.resolve();

  /** @param {string} name */
  async #run(name) {
    const { stage } = this;
    const done = stage.busy(`Running ${stage.net.told.name} for comparison`, true);
    try {
      const { recording, said } = await ask(stage.model, "beside", { recording: stage.base, name });
      const found = await ask(stage.model, "compare", { recording: stage.questions.recording, other: recording });
      if (found.refusal) throw new Error(found.refusal);
      [this.other, this.found, this.name] = [recording, found, said];
    } catch (error) {
      stage.alert(error);
    } finally {
      done();
    }
  }

  /** The largest difference of a value, and whether it is where the two part; null where they are equal. @param {number} id */
  row(id) {
    const row = this.found?.rows.find((each) => each.value === id);
    return row ? { largest: row.largest, first: row.step === this.found?.first } : null;
  }

  /** Draw what the comparison found. */
  draw() {
    const { found, stage } = this;
    const el = stage.at("compared");
    el.hidden = !found;
    if (!found) return;
    const first = found.rows.find((row) => row.step === found.first);
    const go = () => first && stage.go({ at: stage.net.value(first.value).name, index: first.index, near: "window" });
    render(html`Compared with <b>${this.name}</b>: ${first ? html`first different at <button type="button" class="crumb" @click=${go}>${stage.net.title(first.value)}, ${stage.net.spot(first.value, first.index)}</button>
      (difference ${short(first.largest)}${first.bound === null ? "" : `; rounding allows ${rough(first.bound)}`}).` : found.rows.length ? "equal within rounding." : "equal, bit for bit."}
      <button type="button" class="quiet" aria-label="End the comparison" @click=${() => stage.go({ with: "" })}>✕</button>`, el);
  }

  /** What the reader may compare with, as a menu. @param {string[]} samples */
  menu(samples) {
    const { stage } = this;
    const { told } = stage.net;
    const choose = (/** @type {Event} */ event) => stage.go({ with: /** @type {HTMLSelectElement} */ (event.target).value });
    return html`<select class="wide" aria-label="Compare with" @change=${choose}>
      <option value="" .selected=${!stage.state.with}>compare with …</option><option value="last" .selected=${stage.state.with === "last"}>the last picture</option>
      <option value="random" .selected=${stage.state.with === "random"}>random weights</option>
      ${told.picture ? samples.filter((name) => name !== told.picture_name).map((name) => html`<option value=${name} .selected=${stage.state.with === name}>${name}</option>`) : nothing}</select>`;
  }
}
