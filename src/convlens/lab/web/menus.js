// What the reader may open without a restart: a network, a picture, a drawing, the camera.

import { html, nothing, render } from "./vendor/lit-html.js";
import { ask } from "./asking.js";
import { Drawing } from "./drawing.js";
import { Find } from "./find.js";
import { share } from "./share.js";

/**
 * @typedef {import("./answers.js").ChoicesAnswer} ChoicesAnswer
 * @typedef {import("./answers.js").NetworkChoice} NetworkChoice
 */

const NOTES = { shipped: "ready", here: "ready", random: "random weights", own: "your own" };

export class Menus {
  /** @type {ChoicesAnswer} */ #choices = { networks: [], samples: [] };
  #asked = false;

  /** @param {import("./stage.js").Stage} stage */
  constructor(stage) {
    this.stage = stage;
    this.el = stage.at("menus");
    this.finding = new Find(stage);
    this.file = document.createElement("input");
    this.file.type = "file";
    this.file.addEventListener("change", () => { stage.take(this.file.files?.[0], this.slot); this.file.value = ""; });
    const root = stage.el;
    root.addEventListener("dragover", (event) => { event.preventDefault(); root.classList.add("dropping"); });
    root.addEventListener("dragleave", (event) => { if (!root.contains(/** @type {Node | null} */ (event.relatedTarget))) root.classList.remove("dropping"); });
    root.addEventListener("drop", (event) => {
      event.preventDefault();
      root.classList.remove("dropping");
      stage.take(event.dataTransfer?.files[0]);
    });
  }

  async draw() {
    this.finding.draw();
    this.write();
    if (this.#asked) return;
    this.#asked = true;
    try {
      this.#choices = await ask(this.stage.model, "choices", {});
      this.write();
    } catch { /* a host without choices, such as a file on a disk, shows one network on one picture */ }
  }

  write() {
    const { told } = this.stage.net;
    const { networks, samples } = this.#choices;
    if (!networks.length) return render(html`<b>${told.name}</b>${told.picture_name ? html`<span class="soft">on ${told.picture_name}</span>` : nothing}`, this.el);
    const tasks = [...new Set(networks.map((n) => n.task))];
    const known = networks.some((n) => n.name === told.name);
    const pictures = told.slots.length ? told.slots : [told.picture_name];
    render(html`<select aria-label="Network" @change=${(/** @type {Event} */ e) => this.#open(/** @type {HTMLSelectElement} */ (e.target).value)}>
        ${known ? nothing : html`<option selected>${told.name}</option>`}
        ${tasks.map((task) => html`<optgroup label=${task}>${networks.filter((n) => n.task === task).map((n) => html`<option value=${n.name} .selected=${n.name === told.name}>${n.name} · ${note(n)}</option>`)}</optgroup>`)}
      </select><span class="soft wide">on</span>${pictures.map((picture, slot) => html`<select aria-label=${slot ? `Picture of input ${slot}` : "Picture"} @change=${(/** @type {Event} */ e) => this.#picture(/** @type {HTMLSelectElement} */ (e.target), slot)}>
        <option selected>${picture || "no picture"}</option>
        <optgroup label="Samples">${samples.filter((name) => name !== picture).map((name) => html`<option value="sample:${name}">${name}</option>`)}</optgroup>
        <optgroup label="Your own"><option value="file">Open a file …</option><option value="draw">Draw …</option>${told.picture && !slot ? html`<option value="paint">Paint on this picture …</option>` : nothing}<option value="camera">Camera …</option></optgroup>
      </select>`)}${this.stage.compare.menu(samples)}${share(this.stage)}`, this.el);
  }

  slot = 0; // the input that the next file is for

  /** @param {string} name */
  async #open(name) {
    await this.stage.running(`Opening ${name}`, () => ask(this.stage.model, "open", { name }));
    this.write();
  }

  /** @param {HTMLSelectElement} select @param {number} slot */
  async #picture(select, slot) {
    this.slot = slot;
    const choice = select.value;
    select.selectedIndex = 0;
    if (choice === "file") return this.file.click();
    if (choice.startsWith("sample:")) {
      const name = choice.slice("sample:".length);
      return this.stage.running(`Running ${this.stage.net.told.name} on ${name}`, () => ask(this.stage.model, "sample", { name, slot }));
    }
    const dialog = /** @type {HTMLDialogElement} */ (this.stage.at("dialog"));
    const given = choice === "paint" ? await this.stage.questions.picture() : null;
    new Drawing(dialog, /** @type {"draw" | "paint" | "camera"} */ (choice), given, (file) => this.stage.take(file, slot));
  }

  find() {
    this.finding.focus();
  }
}

/** @param {NetworkChoice} choice */
function note({ weights, megabytes }) {
  const words = NOTES[/** @type {keyof typeof NOTES} */ (weights)];
  return weights === "random" && megabytes ? `${words} (${Math.round(megabytes)} MB not downloaded)` : words;
}
