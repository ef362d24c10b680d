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
