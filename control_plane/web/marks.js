// What is marked in a recording, in the order of time. Without page or network.

const KINDS = {
  hold: "On hold",
  transfer: "Transfer",
  pause: "Paused",
  mask: "Digits masked",
  gap: "Missing",
};

/** Return `{kind, startS, endS, text}` for each mark of a recording as the API shows it. */
export function marksOf(recording) {
  const spans = (kind, list, told) => list.map((each) => ({
    kind, startS: each.start_s, endS: each.end_s, text: [KINDS[kind], told(each)].filter(Boolean).join(": "),
  }));
  return [
    ...spans("hold", recording.holds, () => ""),
    ...spans("transfer", recording.transfers, (each) => `${each.before} to ${each.after || "nobody"}`),
    // Between two agents nothing is recorded either: the transfer says so.
    ...spans("pause", recording.pauses.filter((each) => each.because !== "no_agent"), (each) => `by ${each.because}`),
    ...spans("mask", recording.masks, () => ""),
    ...spans("gap", recording.gaps, (each) => each.because.replaceAll("_", " ")),
  ].sort((one, other) => one.startS - other.startS || one.endS - other.endS);
}

/** Return seconds as people read them on a player: 1:02:03, or 2:03. */
export function clock(seconds) {
  const whole = Math.floor(seconds);
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}
