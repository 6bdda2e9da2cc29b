// The zoom viewer: a stack of pictures that is zoomed through by wheel, pinch, drag, keys and double-click. It asks for
// nothing but the pictures it is given, and serves the page and the exported file alike.
//   zoomViewer(host, stack) -> {stop, flyTo}
//   stack = {title, painter, feather, levels: [{src, caption, scale, ratio, turn: [re, im], shift: [re, im]}]}
// ratio is a picture's height over its width. Points in a picture are complex numbers, from its centre, in half widths.
// Level i + 1 lies in level i at q -> turn * q + shift (turn: how much smaller, and rotated); the last level has none.
function zoomViewer(host, stack) {
  "use strict";
  const FEATHER = stack.feather || 0.24;  // share of a picture's half side over which its border fades into the coarser one
  const SHARPEN = [0.7, 1.15];  // screen pixels per pixel of a level between which the next finer one is faded in
  const SETTLE_S = 0.09;  // how fast the view follows the hand
  const WIDER = 2;  // how far off the middle one may look: the view stays inside a picture so many times as wide
  const PLAY_PER_S = 0.7;  // doublings a second
  const MOST_PIXELS = 2048;  // of the canvas, along its longer side
  const SVG = "http://www.w3.org/2000/svg";
  const levels = stack.levels, n = levels.length;
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const mul = (a, b) => [a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]];
  const div = (a, b) => { const d = b[0] * b[0] + b[1] * b[1]; return [(a[0] * b[0] + a[1] * b[1]) / d, (a[1] * b[0] - a[0] * b[1]) / d]; };
  const add = (a, b) => [a[0] + b[0], a[1] + b[1]];
  const sub = (a, b) => [a[0] - b[0], a[1] - b[1]];
  const power = (a, t) => { const r = Math.pow(Math.hypot(...a), t), w = Math.atan2(a[1], a[0]) * t; return [r * Math.cos(w), r * Math.sin(w)]; };
  const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
  const smooth = (low, high, x) => { const t = clamp((x - low) / (high - low), 0, 1); return t * t * (3 - 2 * t); };

  // Depth is log2 of the magnification. depths[i] is where level i just fills the view.
  const depths = [0];
  for (let i = 0; i + 1 < n; i++) depths.push(depths[i] - Math.log2(Math.hypot(...levels[i].turn)));
  const last = depths[n - 1], deepest = last + 1;  // the last picture may be magnified once more
  const camera = { depth: 0, u: 0, v: 0 };  // u, v: off the middle, in half widths of the view
  const goal = { depth: 0, u: 0, v: 0 };
  const held = new Map(), images = [];  // pointers that are down
  let stopped = false, frame = 0, before = 0, playing = 0, head = 0, glide = null, speed = null, here = -1, told = -1;

  // ---- the page ----------------------------------------------------------------------------------------------------
  const make = (tag, attributes, ...children) => {
    const el = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
      else el.setAttribute(name, value);
    }
    el.append(...children);
    return el;
  };
  const icon = (path) => {  // drawn, since not every font has these signs
    const svg = document.createElementNS(SVG, "svg"), line = document.createElementNS(SVG, "path");
    svg.setAttribute("viewBox", "0 0 16 16");
    line.setAttribute("d", path);
    svg.append(line);
    return svg;
  };
  const [PLAY, PAUSE, LESS, MORE, FULL] = ["M4 2l9 6-9 6z", "M4 2v12M11 2v12", "M3 8h10", "M3 8h10M8 3v10", "M2 6V2h4M10 2h4v4M14 10v4h-4M6 14H2v-4"];
  const button = (label, path, onclick) => make("button", { type: "button", "aria-label": label, title: label, onclick }, ...(path ? [icon(path)] : []));
  const canvas = make("canvas", {
    class: "zv-canvas", tabindex: "0", role: "application",
    "aria-label": `${stack.title || "Zoom"}: ${n} levels. Plus and minus zoom, arrow keys look around, Page Up and Page Down change the level, Home and End go to the first and the last, space plays.`,
  });
  const where = make("b", {}), words = make("span", {});
  const slider = make("input", { type: "range", min: 0, max: deepest, step: "any", value: 0, "aria-label": "How far in", oninput: () => { pause(); zoomBy(slider.value - goal.depth); } });
  const ticks = make("div", { class: "zv-ticks" }, ...levels.map((level, i) => {
    const dot = button(`Level ${i + 1}, ${level.scale}: ${level.caption}`, "", () => flyTo(i));
    dot.style.left = `${(100 * depths[i]) / deepest}%`;
    return dot;
  }));
  const play = button("Play the zoom", PLAY, () => (playing ? pause() : start()));
  const bar = make("div", { class: "zv-bar" }, play, button("Zoom out", LESS, () => step(-1)), make("div", { class: "zv-track" }, ticks, slider), button("Zoom in", MORE, () => step(1)));
  if (document.fullscreenEnabled) bar.append(button("Full screen", FULL, () => (document.fullscreenElement ? document.exitFullscreen() : host.requestFullscreen())));
  const said = make("div", { class: "zv-said", role: "status" });
  const stage = make("div", { class: "zv-stage" }, canvas, make("p", { class: "zv-caption", "aria-hidden": "true" }, where, " ", words));
  stage.style.setProperty("--zv-shape", 1 / levels[0].ratio);
  host.classList.add("zv");
  host.replaceChildren(stage, bar, said);

  // ---- where things are --------------------------------------------------------------------------------------------
  const levelAt = (depth) => { let i = 0; while (i + 1 < n && depths[i + 1] <= depth) i++; return i; };
  const nearest = (depth) => depths.reduce((best, d, i) => (Math.abs(d - depth) < Math.abs(depths[best] - depth) ? i : best), 0);

  function frameAt(depth) {  // the view without u and v: the level it lies in, and q -> a q + b into that level
    const i = levelAt(depth);
    if (i === n - 1) return { i, a: [Math.pow(2, last - depth), 0], b: [0, 0] };
    const { turn, shift } = levels[i];
    const a = power(turn, (depth - depths[i]) / (depths[i + 1] - depths[i]));
    const fixed = div(shift, sub([1, 0], turn));  // the point that the zoom from level i to i + 1 leaves in its place
    return { i, a, b: sub(fixed, mul(a, fixed)) };
  }

  function intoView(view) {  // for every level, q -> a q + b from its points to those of the view
    const maps = new Array(n), a = div([1, 0], view.a);
    maps[view.i] = { a, b: mul(a, [-view.b[0], -view.b[1]]) };
    for (let j = view.i + 1; j < n; j++) {
      const up = maps[j - 1], { turn, shift } = levels[j - 1];
      maps[j] = { a: mul(up.a, turn), b: add(mul(up.a, shift), up.b) };
    }
    for (let j = view.i - 1; j >= 0; j--) {
      const down = maps[j + 1], { turn, shift } = levels[j], up = div(down.a, turn);
      maps[j] = { a: up, b: sub(down.b, mul(up, shift)) };
    }
    return maps;
  }

  function moved(depth, to, q) {  // the place at q of the view at `depth`, in the view at `to`
    const from = frameAt(depth), map = intoView(frameAt(to))[from.i];
    return add(mul(map.a, add(mul(from.a, q), from.b)), map.b);
  }

  function bound(at) {
    at.depth = clamp(at.depth, 0, deepest);
    const room = Math.min(WIDER, Math.pow(2, at.depth)) - 1;
    at.u = clamp(at.u, -room, room);
    at.v = clamp(at.v, -room * levels[0].ratio, room * levels[0].ratio);
  }

  // The view shows this many of its half widths to each side: more than one where the canvas is wider than the pictures.
  const half = () => Math.max(1, (canvas.width * levels[0].ratio) / canvas.height);

  function pointed(x, y) {  // a place on the screen in half widths of the view
    const box = canvas.getBoundingClientRect(), k = (2 * half()) / box.width;
    return [(x - box.left - box.width / 2) * k, (y - box.top - box.height / 2) * k];
  }

  // ---- moving ------------------------------------------------------------------------------------------------------
  function zoomBy(doublings, q = [0, 0]) {  // what is at q of the view stays there
    const depth = clamp(goal.depth + doublings, 0, deepest);
    const place = moved(goal.depth, depth, [goal.u + q[0], goal.v + q[1]]);
    Object.assign(goal, { depth, u: place[0] - q[0], v: place[1] - q[1] });
    bound(goal);
    wake();
  }

  function step(sign, q) {  // to the next level further in, or out
    pause();
    const i = levelAt(goal.depth + (sign > 0 ? 1e-6 : -1e-6));
    zoomBy((sign > 0 ? depths[i + 1] ?? deepest : depths[i]) - goal.depth, q);
  }

  function flyTo(i) { pause(); Object.assign(goal, { depth: depths[clamp(i, 0, n - 1)], u: 0, v: 0 }); wake(); }
  function shown(label, path) { play.replaceChildren(icon(path)); play.title = label; play.setAttribute("aria-label", label); }
  function start() { head = Math.min(goal.depth, last); playing = head >= last ? -1 : 1; shown("Pause", PAUSE); wake(); }
  function pause() { playing = 0; glide = null; shown("Play the zoom", PLAY); }

  function advance(dt) {  // what moves by itself: playing, and what was thrown
    if (playing) {
      head += playing * dt * PLAY_PER_S;
      if (head >= last) playing = -1;
      const centre = Math.exp(-2 * dt);
      Object.assign(goal, { depth: calm.matches ? depths[levelAt(head)] : head, u: goal.u * centre, v: goal.v * centre });
      if (head <= 0) pause();
    }
    if (glide) {
      goal.u += glide[0] * dt;
      goal.v += glide[1] * dt;
      glide = Math.hypot(...glide) < 0.02 ? null : glide.map((x) => x * Math.exp(-4 * dt));
    }
    bound(goal);
  }

  function follow(share) {  // go `share` of the way; in a zoom about a point, that point holds still on the way
    const from = { ...camera }, depth = from.depth + (goal.depth - from.depth) * share;
    const zooms = Math.abs(goal.depth - from.depth) > 1e-6;
    const s = zooms ? (1 - Math.pow(2, from.depth - depth)) / (1 - Math.pow(2, from.depth - goal.depth)) : share;
    const start = moved(from.depth, depth, [from.u, from.v]), end = moved(goal.depth, depth, [goal.u, goal.v]);
    Object.assign(camera, { depth, u: start[0] + (end[0] - start[0]) * s, v: start[1] + (end[1] - start[1]) * s });
    bound(camera);
    const rest = Math.abs(goal.depth - camera.depth) + Math.abs(goal.u - camera.u) + Math.abs(goal.v - camera.v);
    if (rest < 3e-4) Object.assign(camera, goal);
    return rest;
  }

  function layers() {  // what is drawn, the coarsest first; what a finer level hides is left out
    const maps = intoView(frameAt(camera.depth)), h = half(), tall = (h * canvas.height) / canvas.width, chosen = [];
    let magnified = 0;  // screen pixels per pixel of the level before
    for (let j = 0; j < n; j++) {
      const { a } = maps[j], b = sub(maps[j].b, [camera.u, camera.v]);
      const alpha = j === 0 ? 1 : smooth(...SHARPEN, magnified);
      if (alpha <= 0) break;
      if (!painter.ready(j)) continue;
      const covers = alpha === 1 && [[h, tall], [h, -tall], [-h, tall], [-h, -tall]].every((corner) => {
        const q = div(sub(corner, b), a);
        return Math.abs(q[0]) <= 1 - FEATHER && Math.abs(q[1]) <= (1 - FEATHER) * levels[j].ratio;
      });
      if (covers) chosen.length = 0;
      chosen.push({ j, a, b, alpha });
      magnified = (Math.hypot(...a) / h) * (canvas.width / painter.pixels(j));
    }
    return chosen;
  }

  function tell() {  // the caption, the slider, and what the page may ask
    const i = nearest(camera.depth);
    slider.value = goal.depth;
    if (i !== here) {
      here = i;
      where.textContent = levels[i].scale;
      words.textContent = levels[i].caption;
      slider.setAttribute("aria-valuetext", `level ${i + 1} of ${n}, ${levels[i].scale}: ${levels[i].caption}`);
      [...ticks.children].forEach((dot, k) => dot.classList.toggle("zv-here", k === i));
    }
    canvas.style.touchAction = goal.depth < 1e-3 ? "pan-y" : "none";  // all the way out, a finger scrolls the page
    Object.assign(host.dataset, { level: i + 1, depth: camera.depth.toFixed(4), painter: painter.kind, loaded: images.filter(Boolean).length });
  }

  function tick(now) {
    frame = 0;
    if (stopped) return;
    const dt = clamp((now - before) / 1000, 0.001, 0.1);
    before = now;
    advance(dt);
    const rest = follow(calm.matches || held.size ? 1 : 1 - Math.exp(-dt / SETTLE_S));
    painter.draw(layers(), half());
    tell();
    if (rest >= 3e-4 || playing || glide) wake();
    else if (told !== here) {
      told = here;
      said.textContent = slider.getAttribute("aria-valuetext");
    }
  }

  function wake() {
    if (frame || stopped) return;
    if (performance.now() - before > 200) before = performance.now() - 16;  // it stood still until now
    frame = requestAnimationFrame(tick);
  }

  // ---- the hand ----------------------------------------------------------------------------------------------------
  canvas.addEventListener("wheel", (e) => {
    const unit = e.deltaMode === 1 ? 30 : e.deltaMode === 2 ? 400 : 1;
    const amount = -clamp(e.deltaY * unit, -240, 240) * (e.ctrlKey ? 0.012 : 0.004);
    const stuck = (amount < 0 && goal.depth <= 0) || (amount > 0 && goal.depth >= deepest);
    if (stuck && !e.ctrlKey) return;  // the page may scroll on
    e.preventDefault();
    pause();
    zoomBy(amount, pointed(e.clientX, e.clientY));
  }, { passive: false });
  canvas.addEventListener("dblclick", (e) => step(e.shiftKey ? -1 : 1, pointed(e.clientX, e.clientY)));
  canvas.addEventListener("pointerdown", (e) => {
    pause();
    speed = null;
    held.set(e.pointerId, pointed(e.clientX, e.clientY));
    canvas.setPointerCapture(e.pointerId);
  });
  canvas.addEventListener("pointermove", (e) => {
    if (!held.has(e.pointerId)) return;
    const old = [...held.values()], middle = (p) => p.reduce((s, q) => add(s, [q[0] / p.length, q[1] / p.length]), [0, 0]);
    held.set(e.pointerId, pointed(e.clientX, e.clientY));
    const now = [...held.values()], by = sub(middle(old), middle(now));
    goal.u += by[0];
    goal.v += by[1];
    if (now.length > 1) zoomBy(Math.log2(Math.hypot(...sub(now[0], now[1])) / Math.max(1e-3, Math.hypot(...sub(old[0], old[1])))), middle(now));
    const dt = speed ? clamp((e.timeStamp - speed.at) / 1000, 0.004, 0.1) : 0.016;
    speed = { at: e.timeStamp, by: now.length > 1 ? [0, 0] : by.map((x) => x / dt) };
    bound(goal);
    wake();
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) canvas.addEventListener(end, (e) => {
    if (!held.delete(e.pointerId) || held.size) return;
    if (end === "pointerup" && speed && e.timeStamp - speed.at < 60 && !calm.matches) glide = speed.by;
    wake();
  });
  canvas.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey) return;
    const look = (x, y) => { if (goal.depth > 0) { goal.u += 0.15 * x; goal.v += 0.15 * y; bound(goal); wake(); } };
    const act = {
      "+": () => zoomBy(0.5), "=": () => zoomBy(0.5), "-": () => zoomBy(-0.5), _: () => zoomBy(-0.5),
      ArrowLeft: () => look(-1, 0), ArrowRight: () => look(1, 0), ArrowUp: () => look(0, -1), ArrowDown: () => look(0, 1),
      PageDown: () => step(1), PageUp: () => step(-1), Home: () => flyTo(0), End: () => flyTo(n - 1),
      " ": () => (playing ? pause() : start()),
    }[e.key];
    if (!act) return;
    e.preventDefault();
    if (e.key !== " ") pause();
    act();
  });

  // ---- beginning and end -------------------------------------------------------------------------------------------
  const paint = () => zoomPainter(canvas, levels, { feather: FEATHER, smooth, kind: stack.painter });
  let painter = paint();
  const fit = () => {
    const box = stage.getBoundingClientRect(), k = Math.min(devicePixelRatio || 1, MOST_PIXELS / Math.max(box.width, box.height, 1));
    canvas.width = Math.max(1, Math.round(box.width * k));
    canvas.height = Math.max(1, Math.round(box.height * k));
    wake();
  };
  const watched = new ResizeObserver(fit);
  watched.observe(stage);
  canvas.addEventListener("webglcontextlost", (e) => { if (!stopped) e.preventDefault(); });
  canvas.addEventListener("webglcontextrestored", () => { painter = paint(); images.forEach((image, j) => image && painter.take(j, image)); wake(); });
  const load = async (j) => {
    const image = new Image();
    image.src = levels[j].src;
    try {
      await image.decode();
    } catch {
      said.textContent = `Level ${j + 1} cannot be shown; its picture did not load.`;
      return;
    }
    if (stopped) return;
    images[j] = image;
    painter.take(j, image);
    wake();
  };
  levels.reduce((one, _, j) => one.then(() => load(j)), Promise.resolve());  // the widest first
  fit();
  return {
    flyTo,
    stop() { stopped = true; watched.disconnect(); painter.stop(); },
  };
}
