// The names of the page's types, which every module knows without an import; no browser loads this.

type Stage = import("./stage.js").Stage;
type Net = import("./net.js").Net;
type Laid = import("./laid.js").Laid;
type TemplateResult = import("./vendor/lit-html.js").TemplateResult;
/** Text, or part of a page, as a template takes it. */
type Shown = TemplateResult | string | symbol;

type StepRow = import("./answers.js").StepRow;
type ValueRow = import("./answers.js").ValueRow;
type NetworkAnswer = import("./answers.js").NetworkAnswer;
type BenchAnswer = import("./answers.js").BenchAnswer;
type FaultRow = import("./answers.js").FaultRow;
type Detection = import("./answers.js").Detection;
type DetectionList = import("./answers.js").DetectionList;
type SegmentList = import("./answers.js").SegmentList;
type Lit = import("./answers.js").Lit;
type WalkAnswer = import("./answers.js").WalkAnswer;
type WalkStation = import("./answers.js").WalkStation;
type WindowRow = import("./answers.js").WindowRow;
type Explained = import("./answers.js").Explained;
type SheetAnswer = import("./answers.js").SheetAnswer;
type KernelsAnswer = import("./answers.js").KernelsAnswer;
type QuestionTable = import("./answers.js").QuestionTable;

// Questions

/** What a host gives: anywidget's model. The browser has its own over HTTP, a notebook another. */
interface Model {
  get: (name: string) => unknown;
  set: (name: string, value: string) => void;
  save_changes: () => void;
  on: (event: string, callback: Listener) => void;
  off: (event: string, callback: Listener) => void;
  send: (content: Message, callbacks?: undefined, buffers?: ArrayBuffer[]) => void;
}

type Message = { id: number; ask: string } & Record<string, unknown>;
/** What answers a question: its name, its parameters, and the file it brings; an envelope comes back. */
type Answer = (question: string, asked: Record<string, unknown>, buffers: ArrayBuffer[]) => Promise<ArrayBuffer>;
/** Either an error, in the answerer's own sentence, or the answer as the only buffer. */
type Listener = (content?: { id: number; error?: string }, buffers?: (ArrayBuffer | DataView)[]) => void;

// Where the reader stands

/** One number passed: a value's name and an index. */
interface Stop {
  at: string;
  index: number[];
}

/** A number of a value that the reader changed. */
interface SetNumber extends Stop {
  to: number;
}

/** What the reader changed: a number, a map that is switched off, or a stride, padding or dilation. */
interface Change {
  at: string;
  index: number[] | number | string;
  to: number | "mute";
}

/** How a part of the state is written in the address, and read there; undefined where it cannot be. */
interface Form<T> {
  write(part: T): string;
  read(text: string): T | undefined;
}

type Distance = "network" | "step" | "window" | "number";

interface State {
  at: string; // name of the value that is open; the door's when empty
  index: number[] | null; // the number that is open
  near: Distance;
  way: "made" | "feeds";
  from: number[] | null; // the input cell that leads, when the way is "feeds"
  channel: number | null; // the input map shown; the strongest when null
  trail: Stop[]; // the numbers passed through, first opened first
  set: Change[];
  with: string; // what it is compared with
  open: string[]; // blocks that are unfolded
  scale: "unit" | "step"; // what shares a colour scale on a sheet
  zoom: number; // steps above (+) or below (-) what fits
  found: number | null; // the detection walked back, by its number
  station: number | null; // the station of its walk that is open
  least: number; // hundredths a detection must score to be listed
  tint: number; // how strongly segments colour the picture, in hundredths
}

// The bench

/** A map of exact numbers on the bench, by its role: "in", "kernel", "out" and others. */
interface Seat {
  role: string;
  value: number | null;
  at: number[]; // its leading index in its value
  shape: number[];
  numbers: Float32Array | Float64Array;
}

/** A part of a number. */
interface Term {
  at: number[] | null; // where its input lies on the shown map; null beyond the edge
  k: number[]; // the kernel's position
  value: number;
  weight: number;
  product: number;
  won?: boolean; // whether it was chosen among the others, where only one is
}

/** What a family draws from. */
interface View {
  laid: Laid;
  place: number[]; // of the output
  terms: Term[];
  made: number; // the number as the network computed it
  own: number; // what the terms come to, as the page computes it
  strong: number[] | null; // the kernel's position that is pointed at
  point: (k: number[] | null) => void;
  small: boolean; // whether the maps are too small for numbers in their cells
  narrow: boolean; // whether the seats are stacked
  width: number; // of the middle seat at most, in pixels
  stage: Stage;
}

/** What a place of a step's output has. */
type Of<T> = (laid: Laid, place: number[]) => T;
type Say = (view: View) => string;
type Draw = (view: View) => Shown;

/** How the numbers of one family of steps are shown. */
interface Family {
  terms: Of<Term[]>; // what a number is made of, on the shown map
  total: (laid: Laid, place: number[], terms: Term[]) => number; // what they come to, as the page computes it
  around: Of<number[]>; // the place whose window lies around an input cell
  lit: (laid: Laid, place: number[], terms: Term[]) => number[][]; // the cells of the input that light up
  readers?: Of<number[][]>; // the places that an input cell feeds
  sentence: Say;
  middle: Draw;
  line: Draw;
  preview?: (laid: Laid, change: SetNumber) => boolean; // shows a change at once, and says whether it could
  sign: (laid: Laid) => string; // between the input and what follows
  caption: (laid: Laid) => string; // of the middle
}

/** A map on a canvas of cells. */
interface Celled {
  numbers: Float32Array | Float64Array;
  shape: number[]; // one, two or three axes
  width: number; // the most pixels it may take
  height: number;
  cell?: number; // the most pixels of a cell
  ring?: number[]; // cells of border before each of the last two axes
  picture?: boolean; // whether it is a picture, in greys
  span?: number; // the number with the strongest colour
  real?: ArrayLike<number> | null; // the numbers before a change
  wrap?: number; // columns of a row of numbers that is folded into several
}

/** What is lit on a map. */
interface Light {
  cells?: number[][]; // the window
  strong?: number[] | null; // one cell of it
  winners?: number[][]; // cells framed twice
  cover?: number; // covers what comes after this flat position
}

/** What a map does under a pointer; `pull`: a cell is dragged up or down with the mouse by so many pixels, and whether it took them. */
interface Doing {
  over: (cell: number[]) => void;
  press?: (cell: number[]) => void;
  leave?: () => void;
  pull?: (cell: number[], up: number) => boolean;
}

/** How large the seats of the bench are. */
interface Seating {
  narrow: boolean; // whether they are stacked
  most: { width: number; height: number }; // what a map may take
  middle: number; // pixels of the middle seat
  cellIn: number; // pixels of a cell of the input
  cellOut: number;
  ring: number[]; // cells of border around the input
  dropIn: number; // pixels from the top at which the input begins
  dropOut: number;
}

// Maps on a canvas

/** A kernel beside a map: its numbers from `start` on, the one with the strongest colour, and whether they are the network's own. */
interface Kernel {
  numbers: ArrayLike<number>;
  start: number;
  rows: number;
  columns: number;
  span: number;
  exact: boolean;
}

interface MapsShown {
  sheet: Pick<SheetAnswer, "rows" | "columns" | "maps" | "low" | "high" | "codes" | "largest" | "exact">;
  frames: number; // maps of the sheet that are one map here, in a block about as high as wide
  first?: number; // the map that comes first of `count`; all maps when missing
  count?: number;
  picture: boolean;
  shared: boolean; // whether one scale holds for all maps
  room: { width: number; height: number };
  across?: number; // maps in a row; as many as make them largest when missing
  most?: number; // maps in a row at most
  zoom: number;
  kernel?: (map: number) => Kernel | null; // what stands beside a map
}
