// Which boxes of a detector stand on the picture at the score that the reader set, and which of them is walked back.

import { START } from "./state.js";

/** The boxes that stand on the picture, those that were not reported, the one walked back, the least score. @param {DetectionList} detections @param {{ least: number, found: number | null }} state */
export function listed({ best, candidates, count, least: limit }, { least, found }) {
  const sure = best.filter((each) => each.score >= least / 100);
  // Where the reader has set nothing and nothing is that sure, all that the network reports is shown, or what it almost did.
  const open = least === START.least && !sure.length, from = open ? Math.round(limit * 100) : least;
  const boxes = open ? [...best] : sure, low = candidates.filter((each) => (open && !count) || (from < limit * 100 && each.score >= from / 100));
  const walked = [...best, ...candidates].find((each) => each.number === found) ?? boxes[0] ?? low[0] ?? null;
  if (walked && ![...boxes, ...low].includes(walked)) (best.includes(walked) ? boxes : low).push(walked);
  return { boxes, low, walked, from };
}
