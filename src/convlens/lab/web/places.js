// Where the cards of a plan stand on the strip, and the lines between them.

/**
 * @typedef {import("./layout.js").Plan} Plan
 * @typedef {import("./layout.js").Card} Card
 * @typedef {import("./layout.js").Link} Link
 * @typedef {{ laid: Plan, open: Set<string>, deep: number, size: number, tall: number, stack: number, named: boolean, step: number, row: number, width: number, height: number,
 *   x: (card: { rank: number }) => number, y: (card: { lane: number }) => number }} Places
 *   a thumbnail is `size` wide and `tall` high, `stack` of them in a card; `step` from rank to rank, `row` from lane to lane; `x`, `y` of a thumbnail;
 *   `open`: what the reader unfolded, at most `deep` blocks around a card
 */

const CAPTION = 92, NAME = 18, HEAD = 24; // pixels under a card of the network, under a card of the strip, above an unfolded block

/** @param {number} low @param {number} x @param {number} high */
const within = (low, x, high) => Math.max(low, Math.min(high, x));

/** Place a plan in a room of pixels; `high` is null on the thin strip; the tallest map has `ratio` of its width. @param {Plan} laid @param {Set<string>} open @param {number} ratio @param {number} wide @param {number | null} high @returns {Places} */
export function places(laid, open, ratio, wide, high) {
  const { ranks, lanes, links, cards } = laid, big = high !== null, phone = wide < 520, skips = links.filter(({ skip }) => skip);
  const deep = big ? Math.max(0, ...cards.map(({ within }) => within.filter(({ key }) => open.has(key)).length)) : 0;
  const arc = skips.length ? (big ? 30 : 10) : 0, top = 8 + arc + deep * HEAD, room = (wide - 32) / ranks;
  const most = big ? 132 : Math.round((lanes > 2 ? 24 : lanes > 1 ? 34 : 48) / Math.max(ratio, 0.6));
  const size = Math.round(big ? within(phone ? 56 : 64, room - 34, most) : within(Math.min(most, phone ? 40 : 44), room - 16, most)), tall = Math.round(size * ratio);
  const named = big || lanes < 3, gap = big ? 28 : 6;
  const lower = Math.max(deep * HEAD, skips.some(({ from }) => cards.some(({ key, lane }) => key === from && lane)) ? arc : 0);
  const under = big ? CAPTION : named ? NAME : 0;
  const stack = big ? within(1, Math.floor((high - top - lanes * (under + gap) - (lanes - 1) * lower) / lanes / (size + 6)), phone ? 3 : 6) : 1;
  const row = stack * (tall + 6) - 6 + under + gap + lower, last = size + (named ? 24 : 0);
  const step = within(size + (big ? 26 : 16), (wide - 16 - last) / Math.max(1, ranks - 1), size + (big ? 90 : 60));
  const across = (ranks - 1) * step + size, left = Math.max(big || named ? 24 : 16, (wide - across) / 2);
  return { laid, open, deep, size, tall, stack, named, step, row, width: Math.max(wide, left + across + left), height: top + lanes * row - lower,
    x: ({ rank }) => left + rank * step, y: ({ lane }) => top + lane * row };
}

/** Draw a link: over the cards between, or around those of other lanes. @param {Places} places @param {Card} from @param {Card} to @param {boolean} skip */
export function curve({ laid, size, tall, step, x, y }, from, to, skip) {
  const [x1, y1, x2, y2] = [x(from) + size, y(from) + tall / 2, x(to), y(to) + tall / 2], bend = Math.min(step - size, 40);
  if (skip) {
    const [a, b, above] = [x1 - size / 2, x2 + size / 2, y(from) - Math.min(size < 60 ? 12 : 36, 8 + 4 * (to.rank - from.rank))];
    return `M${a},${y(from) - 2}C${a},${above} ${a},${above} ${Math.min(a + step / 2, (a + b) / 2)},${above}H${Math.max(b - step / 2, (a + b) / 2)}C${b},${above} ${b},${above} ${b},${y(to) - 2}`;
  }
  const free = (/** @type {number} */ at) => !laid.cards.some(({ rank, lane }) => lane === at && rank > from.rank && rank < to.rank);
  if (to.rank - from.rank < 2) return `M${x1},${y1}C${(x1 + x2) / 2},${y1} ${(x1 + x2) / 2},${y2} ${x2},${y2}`;
  const way = free(from.lane) ? y1 : free(to.lane) ? y2 : Math.max(y(from), y(to)) - 4;
  return `M${x1},${y1}C${x1 + bend / 2},${y1} ${x1 + bend / 2},${way} ${x1 + bend},${way}H${x2 - bend}C${x2 - bend / 2},${way} ${x2 - bend / 2},${y2} ${x2},${y2}`;
}

/** The middle of a link, where its plumbing stands. @param {Places} places @param {Card} from @param {Card} to @returns {[number, number]} */
export function middle({ size, tall, step, x, y }, from, to) {
  return to.rank - from.rank < 2 ? [(x(from) + size + x(to)) / 2, (y(from) + y(to) + tall) / 2] : [x(to) - (step - size) / 2, y(to) + tall / 2];
}

/** The blocks that the reader unfolded, each with the box around its cards. @param {Places} places */
export function blocks({ laid, open, deep, size, x, y, row }) {
  /** @type {Map<string, { key: string, label: string, level: number, cards: Card[] }>} */
  const found = new Map();
  for (const card of laid.cards) card.within.filter(({ key }) => open.has(key)).forEach(({ key, label }, level) => {
    const block = found.get(key) ?? { key, label, level, cards: [] };
    block.cards.push(card);
    found.set(key, block);
  });
  return [...found.values()].map(({ key, label, level, cards }) => {
    const [ranks, lanes] = [cards.map(({ rank }) => rank), cards.map(({ lane }) => lane)], edge = 12 - 3 * Math.min(level, 3);
    const left = x({ rank: Math.min(...ranks) }) - edge, top = y({ lane: Math.min(...lanes) }) - (deep - level) * HEAD - (laid.links.some(({ skip }) => skip) ? 30 : 0);
    return { key, label, left, top, width: x({ rank: Math.max(...ranks) }) + size + edge - left, height: y({ lane: Math.max(...lanes) }) + row - 20 - 3 * level - top };
  });
}
