// Two recordings of one shape: another picture, other weights, another network; the first step that diverges.

import { html, render } from "./vendor/lit-html.js";
import { ask } from "./asking.js";
import { menu } from "./frame.js";
import { rough, short } from "./numbers.js";
import { Part } from "./part.js";

export class Compare extends Part {
  /** The recording that is compared with. @type {number | null} */ other = null;
  /** @type {import("./answers.js").CompareAnswer | null} */ found = null;
  #name = "";
  #applied = "";
  /** @type {Promise<void> | undefined} */ #running;

  /** Another network or picture was recorded. */
  begin() {
    [this.other, this.found, this.#applied, this.#running] = [null, null, "", undefined];
  }

  /** Compare with what the state names; whoever waits meanwhile waits for the same. */
  settle() {
    const name = this.stage.state.with;
    if (name !== this.#applied) {
      this.begin();
      this.#applied = name;
      this.#running = name ? this.#run(name) : undefined;
    }
    return this.#running;
  }

  /** @param {string} name */
  async #run(name) {
    const { stage } = this, done = stage.busy(`Running ${this.net.told.name} for comparison`), wanted = () => name === this.#applied;
    stage.alert("");
    try {
      const { recording, said } = await ask(stage.model, "beside", { recording: stage.base, name });
      const found = await ask(stage.model, "compare", { recording: stage.questions.recording, other: recording });
      if (found.refusal) throw new Error(found.refusal);
      if (wanted()) [this.other, this.found, this.#name] = [recording, found, said];
    } catch (error) {
      if (wanted()) this.#refuse(error);
    } finally {
      done();
    }
  }

  /** Say why there is no comparison, and end it; the address is left as it is, so that the way back leads past it. @param {unknown} error */
  #refuse(error) {
    this.stage.alert(error);
    this.stage.state.with = this.#applied = "";
  }

  /** The largest difference of a value, and whether it is where the two part; null where they are equal. @param {number} id */
  row(id) {
    const row = this.found?.rows.find(({ value }) => value === id);
    return row ? { largest: row.largest, first: row.step === this.found?.first } : null;
  }

  draw() {
    const { found, stage, net, el } = this;
    el.hidden = !found;
    if (!found) return;
    const first = found.rows.find(({ step }) => step === found.first);
    const where = first && html`first different at <button class="crumb" @click=${() => stage.go({ at: net.value(first.value).name, index: first.index, near: "window" })}>
      ${net.title(first.value)}, ${net.spot(first.value, first.index)}</button> (difference ${short(first.largest)}${first.bound === null ? "" : `; rounding allows ${rough(first.bound)}`}).`;
    render(html`Compared with <b>${this.#name}</b> (there): ${where ?? (found.rows.length ? "equal within rounding." : "equal, bit for bit.")}
      <button class="quiet" aria-label="End the comparison" @click=${() => stage.go({ with: "" })}>✕</button>`, el);
  }

  /** What the reader may compare with. @param {import("./answers.js").ChoicesAnswer} choices */
  menu({ samples, beside }) {
    const { stage, net: { told } } = this, named = (/** @type {string[]} */ names, /** @type {string} */ own, /** @type {string} */ group) => names.filter((name) => name !== own).map((name) => /** @type {const} */ ([name, name, group]));
    return menu("Compare with", [["", "compare with …"], ["last", "the last picture"], ["random", "random weights"],
      ...named(beside, told.name, "Weights and networks"), ...named(told.picture ? samples : [], told.picture_name, "Pictures")], stage.state.with, (name) => stage.go({ with: name }), "wide");
  }
}
