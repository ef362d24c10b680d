// The network as a tree of module calls; every step, weight and input can be chosen.

import { html, nothing, render } from "./vendor/lit-html.js";
import { NO_NETWORK } from "./answers.js";
import { count, shapeText } from "./numbers.js";

/**
 * @typedef {import("./answers.js").NetworkAnswer} NetworkAnswer
 * @typedef {import("./answers.js").OutlineNode} Node
 * @typedef {import("./answers.js").ValueRow} Value
 *
 * @typedef {object} Row one line of the tree
 * @property {string} key unique among the rows
 * @property {number} level from 1
 * @property {string} name
 * @property {string} kind "input" | "module" | "step" | "given" | "error"
 * @property {string} detail
 * @property {number | null} value the value it shows
 * @property {boolean} opens whether it has rows of its own
 * @property {Node | null} node
 */

const FEW_ROWS = 36; // an outline to this length is shown whole

export class Outline {
  /** @type {Set<string>} */ #open = new Set();
  /** @type {Row[]} */ #rows = [];
  #focused = "";
  #signature = "";

  /**
   * @param {HTMLElement} el
   * @param {{ choose: (value: number, follow: boolean) => void }} actions
   */
  constructor(el, actions) {
    this.el = el;
    this.actions = actions;
    this.resized = new ResizeObserver(() => this.#reveal());
    this.resized.observe(el);
    this.network = NO_NETWORK;
    /** @type {Map<number, Value>} */ this.values = new Map();
    /** @type {number | null} */ this.selected = null;
  }

  /**
   * @param {NetworkAnswer} network
   * @param {Map<number, Value>} values
   */
  show(network, values) {
    this.network = network;
    this.values = values;
    const signature = JSON.stringify(network.nodes.map((n) => [n.name, n.type]));
    if (signature !== this.#signature) {
      this.#signature = signature;
      this.#open = this.#openFirst();
    }
    this.draw();
  }

  /** Return the modules that begin open: all in a small network, none in a large one. */
  #openFirst() {
    const open = new Set(this.#calls(this.network.nodes).map((row) => row.key));
    const whole = this.#list(open).length;
    return whole <= FEW_ROWS ? open : new Set();
  }

  /** @param {Node[]} nodes @returns {{ key: string }[]} */
  #calls(nodes, above = "") {
    return nodes.flatMap((node, i) => {
      const key = `${above}/${i}`;
      return node.children ? [{ key }, ...this.#calls(node.children, key)] : [];
    });
  }

  /** Return the rows to see when `open` are open. @param {Set<string>} open @returns {Row[]} */
  #list(open) {
    const { network, values } = this;
    /** @type {Row[]} */
    const inputs = network.inputs.map((id) => ({
      key: `input ${id}`, level: 1, name: values.get(id)?.name ?? "input", kind: "input",
      detail: "", value: id, opens: false, node: null,
    }));
    /** @param {Node[]} nodes @param {string} above @param {number} level @returns {Row[]} */
    const under = (nodes, above, level) => nodes.flatMap((node, i) => {
      const key = `${above}/${i}`;
      const opens = Boolean(node.children?.length || node.given?.length);
      const row = {
        key, level, name: node.name, opens, node,
        kind: node.error ? "error" : node.children ? "module" : "step",
        detail: node.type ?? "",
        value: node.values?.[0] ?? null,
      };
      if (!open.has(key)) return [row];
      const more = (node.values ?? []).slice(1);
      return [
        row,
        ...(node.given ?? []).map((id) => this.#leaf(`${key} given ${id}`, level + 1, id, "given")),
        ...more.map((id) => this.#leaf(`${key} value ${id}`, level + 1, id, "step")),
        ...under(node.children ?? [], key, level + 1),
      ];
    });
    return [...inputs, ...under(network.nodes, "", 1)];
  }

  /** @param {string} key @param {number} level @param {number} id @param {string} kind @returns {Row} */
  #leaf(key, level, id, kind) {
    const value = this.values.get(id);
    const name = kind === "given" ? (value?.name ?? "").split(".").at(-1) || value?.kind || "" : value?.name;
    return {
      key, level, kind, name: name ?? "", value: id, opens: false, node: null,
      detail: kind === "given" ? value?.kind ?? "" : "also made",
    };
  }

  /** Mark the row of a value, and open the modules it lies in. @param {number} value */
  select(value) {
    if (this.selected === value) return;
    this.selected = value;
    const all = this.#list(new Set([...this.#calls(this.network.nodes).map((r) => r.key), ...this.#givens()]));
    const kinds = ["step", "input", "given", "module"];
    const row = all
      .filter((r) => r.value === value)
      .sort((a, b) => kinds.indexOf(a.kind) - kinds.indexOf(b.kind))[0];
    if (row) {
      for (let cut = row.key.lastIndexOf("/"); cut > 0; cut = row.key.lastIndexOf("/", cut - 1)) {
        this.#open.add(row.key.slice(0, cut));
      }
      if (row.kind === "given") this.#open.add(row.key.split(" ")[0]);
      this.#focused = row.key;
    }
    this.draw();
    this.#reveal();
  }

  #reveal() {
    this.el.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest" });
  }

  end() {
    this.resized.disconnect();
  }

  /** Return the keys of steps with weights. */
  #givens() {
    /** @param {Node[]} nodes @param {string} above @returns {string[]} */
    const under = (nodes, above) => nodes.flatMap((node, i) => {
      const key = `${above}/${i}`;
      return [...(node.given?.length ? [key] : []), ...under(node.children ?? [], key)];
    });
    return under(this.network.nodes, "");
  }

  focus() {
    /** @type {HTMLElement | null} */ (this.el.querySelector('[tabindex="0"]'))?.focus();
  }

  draw() {
    this.#rows = this.#list(this.#open);
    if (!this.#rows.some((row) => row.key === this.#focused)) this.#focused = this.#rows[0]?.key ?? "";
    render(html`
      <div class="tree" role="tree" aria-label="Steps of the network" @keydown=${this.#key}>
        ${this.#rows.map((row) => this.#row(row))}
      </div>
      ${this.#notes()}
    `, this.el);
  }

  /** @param {Row} row */
  #row(row) {
    const value = row.value === null ? undefined : this.values.get(row.value);
    const selected = row.value !== null && row.value === this.selected
      && (row.key === this.#focused || row.kind !== "module");
    const open = this.#open.has(row.key);
    const click = () => {
      this.#focused = row.key;
      if (row.value !== null) this.actions.choose(row.value, false);
      else if (row.opens) this.#toggle(row);
    };
    const fold = (/** @type {Event} */ event) => {
      event.stopPropagation();
      this.#toggle(row);
    };
    return html`<div class="row ${row.kind}" role="treeitem" data-level=${Math.min(row.level, 9)}
        data-key=${row.key} data-value=${row.value ?? nothing}
        aria-level=${row.level} aria-selected=${selected}
        aria-expanded=${row.opens ? String(open) : nothing}
        tabindex=${row.key === this.#focused ? 0 : -1}
        title=${title(row, value)} @click=${click}>
      <span class="fold" aria-hidden="true" @click=${row.opens ? fold : nothing}>${row.opens ? (open ? "▾" : "▸") : ""}</span>
      <span class="name">${tailed(row.name)}${row.detail ? html` <small>${row.detail}</small>` : nothing}</span>
      ${row.kind === "error" ? html`<span class="message">${row.node?.error}</span>` : nothing}
      <span class="shape">${value ? shapeText(value.shape) : ""}</span>
    </div>`;
  }

  /** @param {Row} row */
  #toggle(row) {
    this.#open.has(row.key) ? this.#open.delete(row.key) : this.#open.add(row.key);
    this.draw();
  }

  #notes() {
    const { warnings } = this.network;
    return warnings.length
      ? html`<ul class="warnings" aria-label="Notes">${warnings.map((w) => html`<li title=${w}>${w}</li>`)}</ul>`
      : nothing;
  }

  #key = (/** @type {KeyboardEvent} */ event) => {
    const at = this.#rows.findIndex((row) => row.key === this.#focused);
    const row = this.#rows[at];
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return;
    let to = at;
    if (event.key === "ArrowDown") to = at + 1;
    else if (event.key === "ArrowUp") to = at - 1;
    else if (event.key === "Home") to = 0;
    else if (event.key === "End") to = this.#rows.length - 1;
    else if (event.key === "PageDown") to = Math.min(at + 12, this.#rows.length - 1);
    else if (event.key === "PageUp") to = Math.max(at - 12, 0);
    else if (event.key === "ArrowRight") {
      if (row.opens && !this.#open.has(row.key)) this.#toggle(row);
      else if (row.opens) to = at + 1;
    } else if (event.key === "ArrowLeft") {
      if (row.opens && this.#open.has(row.key)) this.#toggle(row);
      else to = this.#rows.findLastIndex((r, i) => i < at && r.level < row.level);
    } else if (event.key === "Enter" || event.key === " ") {
      if (row.value !== null) this.actions.choose(row.value, event.key === "Enter");
      else if (row.opens) this.#toggle(row);
    } else return;
    event.preventDefault();
    event.stopPropagation();
    const next = this.#rows[to];
    if (next && to !== at) {
      this.#focused = next.key;
      this.draw();
      this.focus();
    }
  };
}

/** Write a name so that its last part is cut off last. @param {string} name */
function tailed(name) {
  const cut = name.lastIndexOf(".") + 1;
  return html`${cut ? html`<span class="ahead">${name.slice(0, cut)}</span>` : nothing}<span class="tail">${name.slice(cut)}</span>`;
}

/** @param {Row} row @param {Value | undefined} value */
function title(row, value) {
  const node = row.node;
  const parts = [node?.path || row.name];
  if (value) parts.push(`${value.shape.join("×")} ${value.dtype}`);
  if (node?.parameters) parts.push(`${count(node.parameters)} parameters`);
  if (node?.seconds) parts.push(`${(node.seconds * 1e3).toPrecision(2)} ms`);
  if (node?.note) parts.push(node.note);
  return parts.join(" · ");
}
