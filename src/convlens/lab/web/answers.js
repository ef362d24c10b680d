// A network before its first answer; answers.d.ts has the types of all questions and answers.

export const NO_NETWORK = {
  recording: 0, name: "", failure: "", picture: null, frames: null, picture_name: "", slots: [], seconds: 0,
  task: "", random: false, steps: [], calls: [], parameters: 0, values: [], inputs: [], picture_value: null,
  output: null, door: null, scores: [],
  categories: null, detections: null, segments: null, doubts: [], warnings: [], error: null, fault: null,
};
