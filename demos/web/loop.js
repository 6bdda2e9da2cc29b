(strip, playback) => {
  // A loop has one gap more, from the last keyframe back to the first.
  const loop = playback === "loop";
  const n = strip.keyframes.length + (loop ? 0 : -1);
  const gaps = [...strip.gaps];
  while (gaps.length < n) gaps.push({ ...gaps[gaps.length - 1] });
  return { ...strip, loop, gaps, selected: strip.selected >= n ? -1 : strip.selected };
}
