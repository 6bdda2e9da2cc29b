(source, strip, curve, duration, hold, kind, steps, x1, y1, x2, y2, fps) => {
  // Carries an edit of the chosen gap to everything that shows it. `source` is what the user touched; that control
  // itself is left alone (undefined changes nothing), so that typing is never overwritten.
  const NAMED = { "ease-in": [0.42, 0, 1, 1], "ease-out": [0, 0, 0.58, 1], "ease-in-out": [0.42, 0, 0.58, 1], linear: [0, 0, 1, 1] };
  const chosen = strip.gaps[Math.max(0, strip.selected)] || strip.gaps[0];
  let numbers = [x1, y1, x2, y2];
  let text = chosen.easing;
  if (source === "picked") { duration = chosen.duration_s; hold = chosen.hold_s; }
  else if (source === "curve") text = curve.easing;
  else if (["x1", "y1", "x2", "y2"].includes(source) || (source === "easing" && kind === "cubic-bezier")) text = `cubic-bezier(${numbers.map((n) => n ?? 0).join(", ")})`;
  else if (source === "steps" || (source === "easing" && kind === "steps")) text = `steps(${steps ?? 1})`;
  else if (source === "easing") text = kind;
  const call = text.match(/^(cubic-bezier|steps)\((.*)\)$/);
  kind = call ? call[1] : text;
  if (kind === "cubic-bezier") numbers = call[2].split(",").map(Number);
  if (kind === "steps") steps = Number(call[2]);
  if (NAMED[kind]) numbers = NAMED[kind];
  if (source !== "picked" && source !== "fps") {  // what was touched changes, in the chosen gap or in all
    const change = source === "duration" ? { duration_s: duration } : source === "hold" ? { hold_s: hold } : { easing: text };
    strip = { ...strip, gaps: strip.gaps.map((g, i) => (strip.selected === -1 || strip.selected === i ? { ...g, ...change } : g)) };
  } else strip = undefined;
  const frames = Math.round((duration || 0) * (fps || 24));
  const shown = { duration, hold, easing: kind, steps, x1: numbers[0], y1: numbers[1], x2: numbers[2], y2: numbers[3] };
  const controls = ["duration", "hold", "easing", "steps", "x1", "y1", "x2", "y2"].map((n) => (n === source ? undefined : shown[n]));
  return [strip, { easing: text, frames }, ...controls];
}
