// What the reader may open without a restart: a network, a picture, a drawing, the camera.

import { html, nothing, render } from "./vendor/lit-html.js";
import { ask } from "./asking.js";
import { draw } from "./drawing.js";
import { Find } from "./find.js";
import { menu, more } from "./frame.js";
import { Part } from "./part.js";
import { share } from "./share.js";

const NOTES = { shipped: "ready", here: "ready", random: "random weights", own: "your own" };

export class Menus extends Part {
  /** @type {import("./answers.js").ChoicesAnswer} */ #choices = { networks: [], samples: [], beside: [] };
  #asked = false;
  #slot = 0; // the input that the next file is for
  #file = document.createElement("input");

  /** @param {Stage} stage */
  constructor(stage) {
    super(stage, "menus");
    this.finding = new Find(stage, "find");
    const { el } = stage, file = this.#file;
    file.type = "file";
    file.addEventListener("change", () => { stage.take(file.files?.[0], this.#slot); file.value = ""; });
    el.addEventListener("dragover", (event) => { event.preventDefault(); el.classList.add("dropping"); });
    el.addEventListener("dragleave", ({ relatedTarget }) => { if (!el.contains(/** @type {Node | null} */ (relatedTarget))) el.classList.remove("dropping"); });
    el.addEventListener("drop", (event) => {
      event.preventDefault();
      el.classList.remove("dropping");
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
    const { stage } = this, { name, picture, picture_name, slots } = this.net.told, { networks, samples } = this.#choices;
    if (!networks.length) return render(html`<b>${name}</b>${picture_name ? html`<span class="soft">on ${picture_name}</span>` : nothing}`, this.el);
    const own = /** @type {const} */ ([["file", "Open a file …"], ["draw", "Draw …"], ["paint", "Paint on this picture …"], ["camera", "Camera …"]]);
    const known = networks.some((each) => each.name === name) ? [] : [/** @type {const} */ ([name, name])];
    render(html`${menu("Network", [...known, ...networks.map((each) => /** @type {const} */ ([each.name, `${each.name} · ${note(each)}`, each.task]))], name, (other) => this.#run("open", { name: other }, `Opening ${other}`))}
      <span class="soft wide">on</span>${(slots.length ? slots : [picture_name]).map((given, slot) => menu(slot ? `Picture of input ${slot}` : "Picture", [["", given || "no picture"],
        ...samples.filter((each) => each !== given).map((each) => /** @type {const} */ ([`sample:${each}`, each, "Samples"])),
        ...own.filter(([what]) => what !== "paint" || (picture && !slot)).map(([what, text]) => /** @type {const} */ ([what, text, "Your own"]))], "", (what) => this.#picture(what, slot)))}
      ${stage.compare.menu(this.#choices)}${share(stage)}`, this.el);
  }

  /** @template {"open" | "sample"} Q @param {Q} question @param {Parameters<QuestionTable[Q]>[0]} asked @param {string} text */
  #run(question, asked, text) {
    return this.stage.running(text, () => ask(this.stage.model, question, asked));
  }

  /** Run the network on another picture. @param {string} what @param {number} slot */
  async #picture(what, slot) {
    const { stage } = this, [, sample] = what.split("sample:");
    this.#slot = slot;
    if (sample) return this.#run("sample", { name: sample, slot }, `Running ${this.net.told.name} on ${sample}`);
    if (what === "file") return this.#file.click();
    const given = what === "paint" ? await stage.questions.picture() : null;
    draw(/** @type {HTMLDialogElement} */ (stage.at("dialog")), what === "camera", given, (file) => stage.take(file, slot));
  }

  find() {
    more(this.stage, true);
    this.finding.focus();
  }
}

/** @param {import("./answers.js").NetworkChoice} choice */
function note({ weights, megabytes }) {
  const words = NOTES[/** @type {keyof typeof NOTES} */ (weights)];
  return weights === "random" && megabytes ? `${words} (${Math.round(megabytes)} MB not downloaded)` : words;
}
