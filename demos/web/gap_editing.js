(source, strip, curve, duration, kind, x1, y1, x2, y2, steps, hold) => {
  // Carries an edit of the chosen gap to everything that shows it. `source` is what the user touched.
  const NAMED = { "ease-in": [0.42, 0, 1, 1], "ease-out": [0, 0, 0.58, 1], "ease-in-out": [0.42, 0, 0.58, 1], linear: [0, 0, 1, 1] };
  let numbers = [x1, y1, x2, y2];
  let text = kind;
  if (source === "picked") {
    const gap = strip.gaps[Math.max(0, strip.selected)] || strip.gaps[0];
    duration = gap.duration_s; hold = gap.hold_s; text = gap.easing;
  } else if (source === "curve") {
    text = curve.easing;
  } else if (source === "bezier" || kind === "cubic-bezier") {
    text = `cubic-bezier(${numbers.map((n) => n ?? 0).join(", ")})`;
  } else if (kind === "steps") {
    text = `steps(${steps})`;
  }
  const call = text.match(/^(cubic-bezier|steps)\((.*)\)$/);
  kind = call ? call[1] : text;
  if (call && call[1] === "cubic-bezier") numbers = call[2].split(",").map(Number);
  if (call && call[1] === "steps") steps = Number(call[2]);
  if (NAMED[kind]) numbers = NAMED[kind];
  if (source !== "picked") {
    const gap = { duration_s: duration, easing: text, hold_s: hold };
    const gaps = strip.gaps.map((g, i) => {
      if (strip.selected !== -1 && strip.selected !== i) return g;
      // "All gaps" changes what was touched and leaves the rest of each gap alone.
      if (source === "duration") return { ...g, duration_s: duration };
      if (source === "hold") return { ...g, hold_s: hold };
      return { ...g, easing: text };
    });
    if (strip.selected !== -1) gaps[strip.selected] = gap;
    strip = { ...strip, gaps };
  }
  return [strip, { ...curve, easing: text }, duration, kind, ...numbers, steps, hold];
}
