// Take a number along: its address, its Python, its figure, the page as a file.

import { html } from "./vendor/lit-html.js";
import { isDark } from "./colours.js";

const WAYS = [["address", "Copy the address"], ["python", "Copy as Python"], ["command", "Copy the command for a file"], ["svg", "Save as SVG"], ["png", "Save as PNG"]];

/** @param {import("./stage.js").Stage} stage */
export function share(stage) {
  const take = async (/** @type {Event} */ event) => {
    const select = /** @type {HTMLSelectElement} */ (event.target);
    const way = select.value;
    select.selectedIndex = 0;
    try {
      await shared(stage, way);
    } catch (error) {
      stage.alert(error);
    }
  };
  return html`<select class="wide" aria-label="Share" @change=${take}><option value="" selected>share …</option>${WAYS.map(([way, text]) => html`<option value=${way}>${text}</option>`)}</select>`;
}

/** @param {import("./stage.js").Stage} stage @param {string} way */
async function shared({ value, state, questions, net }, way) {
  if (way === "address") return navigator.clipboard.writeText(location.href);
  if (!value || !state.index) return;
  const about = { value: value.id, index: state.index };
  if (way === "python" || way === "command") {
    const { text, command } = await questions.once("python", about);
    if (way === "command" && !command) throw new Error("No command names this network on this picture; copy it as Python, or start the lab on files.");
    return navigator.clipboard.writeText(way === "python" ? text : command);
  }
  const { content } = await questions.once("figure", { ...about, form: way, dark: isDark() });
  const link = document.createElement("a");
  const type = way === "svg" ? "image/svg+xml" : "image/png";
  link.href = URL.createObjectURL(new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (content)], { type }));
  link.download = `${net.told.name}-${value.name}-${state.index.join("-")}.${way}`.replace(/[^\w.-]+/g, "-");
  link.click();
  URL.revokeObjectURL(link.href);
}
