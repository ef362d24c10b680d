// The names by which an address reaches the values of a recording.

/**
 * @typedef {import("./answers.js").NetworkAnswer} NetworkAnswer
 * @typedef {import("./answers.js").OutlineNode} Node
 * @typedef {import("./answers.js").ValueRow} Value
 */

/**
 * Return every value by its name, and by the path of each module that passes on what one inside it made.
 * @param {NetworkAnswer} network
 * @returns {Map<string, Value>}
 */
export function valuesByName({ values, nodes }) {
  const byId = new Map(values.map((value) => [value.id, value]));
  const named = new Map(values.map((value) => [value.name, value]));
  for (const [path, id] of passed(nodes)) {
    const value = byId.get(id);
    if (value && !named.has(path)) named.set(path, value);
  }
  return named;
}

/** The path of every module, with the first value it made. @param {Node[]} nodes @returns {[string, number][]} */
function passed(nodes) {
  return nodes.flatMap((node) => [
    ...(node.path && node.values?.length ? [/** @type {[string, number]} */ ([node.path, node.values[0]])] : []),
    ...passed(node.children ?? []),
  ]);
}

/** Return whether an index lies in a shape. @param {number[]} index @param {number[] | undefined} shape */
export function inside(index, shape) {
  return index.length === shape?.length && index.every((i, axis) => i < shape[axis]);
}
