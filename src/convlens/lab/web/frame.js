// The page around the lab: its head, its columns, and the ways a file comes in.

import { html, nothing, render } from "./vendor/lit-html.js";
import { count, shapeText } from "./numbers.js";

/**
 * @param {HTMLElement} el
 * @param {object} actions
 * @param {(file: File | null | undefined) => void} actions.take
 * @param {() => void} actions.help
 * @param {(event: KeyboardEvent) => void} actions.key
 * @param {(event: MouseEvent) => void} actions.click
 */
export function frame(el, actions) {
  render(html`<div class="lab" tabindex="-1" @keydown=${actions.key} @click=${actions.click}>
      <header class="top">
        <h1>convlens</h1><p class="title"></p><p class="progress" role="status"></p>
        <input type="file" class="file" aria-label="A picture or .npy array" tabindex="-1"
          @change=${(/** @type {{ target: HTMLInputElement }} */ e) => { actions.take(e.target.files?.[0]); e.target.value = ""; }}>
        <button type="button" class="choose" @click=${() => chooseFile(el)}>Open picture…</button>
        <button type="button" class="help" aria-label="Keys" title="Keys (?)" @click=${() => actions.help()}>?</button>
      </header>
      <p class="alert" role="alert"></p>
      <main class="columns">
        <nav class="outline" aria-label="Network"><div class="steps"></div><div class="answer"></div></nav>
        <section class="maps" aria-label="Feature maps">
          <header class="controls"></header>
          <div class="sheet"></div><div class="bars"></div><p class="blank"></p>
          <footer><output class="readout" aria-live="polite"></output>
            <div class="legend" aria-hidden="true"><span></span><canvas></canvas><span></span></div></footer>
        </section>
        <section class="numbers" aria-label="Arithmetic">
          <div class="arithmetic"></div><div class="picture"></div>
        </section>
      </main>
      <dialog aria-label="Keys"></dialog>
      <div class="drop" aria-hidden="true"><p>Drop a picture to run the network on it</p></div>
    </div>`, el);
  listen(/** @type {HTMLElement} */ (el.querySelector(".lab")), actions.take);
}

/** Write the network, the picture and what the run took in one line. @param {import("./answers.js").NetworkAnswer} network */
export function title({ recording, name, picture_name, picture, frames, steps, parameters, seconds, inputs, values }) {
  const short = html`<b title=${name}>${name.split("/").at(-1)}</b>`;
  if (!recording) return short;
  const input = values.find((value) => value.id === inputs[0]);
  const on = picture_name ? html` on <b>${picture_name}</b>` : nothing;
  const clip = frames && frames > 1 ? `, ${frames} frames` : "";
  const size = picture ? `seen at ${picture[1]}×${picture[0]}${clip}` : input ? shapeText(input.shape) : "";
  return html`${short}${on} <small>${size} · ${count(steps)} steps · ${count(parameters)} parameters · ${
    seconds < 1 ? `${Math.round(seconds * 1e3)} ms` : `${seconds.toFixed(1)} s`}</small>`;
}

/** @param {HTMLElement} el */
export function chooseFile(el) {
  /** @type {HTMLInputElement} */ (el.querySelector(".file")).click();
}

/** Take files that are dropped or pasted. @param {HTMLElement} root @param {(file: File | null | undefined) => void} take */
function listen(root, take) {
  const holds = (/** @type {DragEvent} */ event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  root.addEventListener("dragover", (event) => {
    if (!holds(event)) return;
    event.preventDefault();
    root.classList.add("dropping");
  });
  root.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) root.classList.remove("dropping");
  });
  root.addEventListener("drop", (event) => {
    root.classList.remove("dropping");
    if (!holds(event)) return;
    event.preventDefault();
    take(event.dataTransfer?.files[0]);
  });
  root.addEventListener("paste", (event) => take(event.clipboardData?.files[0]));
}
