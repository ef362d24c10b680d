// The terms of a number, the strongest first; what is beyond the edge, and the sum of those that are not listed.

/**
 * @typedef {import("../answers.js").Explained} Explained
 * @typedef {{ value: number, position: number, x: number, weight: number, product: number, won: boolean, factor: [value: number, position: number] }} Line a term: the element it reads, times its weight, which `factor` is
 */

/** Return the terms that an explanation lists, strongest first, or of a choice the winner and then those that come next to it. @param {Explained} explained */
export function ranked({ groups, rule, kind, products, count }) {
  /** @type {Line[]} */
  const all = groups.flatMap(({ source, position, value, weight, product, weight_source, weight_position }) => source.map((id, i) => (
    { value: id, position: position[i], x: value[i], weight: weight[i], product: product[i], won: rule === "chosen" && weight[i] !== 0, factor: [weight_source[i], weight_position[i]] })));
  const size = (/** @type {Line} */ line) => (rule === "chosen" ? (line.won ? Infinity : kind === "windowed" ? line.x : 0) : Math.abs(line.product));
  const lines = all.filter((line) => line.value >= 0);
  lines.sort((a, b) => (size(b) === size(a) ? 0 : size(b) > size(a) ? 1 : -1));
  const listed = all.reduce((sum, { product }) => sum + product, 0);
  return { lines, edge: all.length - lines.length, unlisted: { count: count - all.length, sum: products - listed } };
}

/** Return the first lines, and the count and sum of all others. @param {ReturnType<typeof ranked>} all @param {number} most */
export function folded({ lines, unlisted }, most) {
  const hidden = lines.slice(most);
  return { shown: lines.slice(0, most), count: hidden.length + unlisted.count, sum: hidden.reduce((sum, { product }) => sum + product, unlisted.sum) };
}
