(strip, playback) => {
  // A loop has one gap more, from the last keyframe back to the first; it is kept aside while the loop is off.
  const loop = playback === "loop", n = strip.keyframes.length;
  if (loop === !!strip.loop) return strip;
  let gaps = [...strip.gaps], closing = strip.closing;
  if (loop) {
    while (gaps.length < n - 1) gaps.push({ ...gaps[gaps.length - 1] });
    if (n >= 2 && gaps.length === n - 1) gaps.push(closing || { ...gaps[gaps.length - 1] });
  } else if (n >= 2 && gaps.length === n) closing = gaps.pop();
  return { ...strip, loop, gaps, closing, selected: strip.selected >= gaps.length ? -1 : strip.selected };
}
