// The song with its beats over what is heard, a player, and tap tempo. It alone owns its value
//   {taps: [seconds of the song], beat: number of the beat that was clicked, from 0}
// and fires `tapped` and `clicked`. The server says what is shown by the property `incoming` = {serial, src, clicks,
// duration_s, level, beats: [[seconds, place in the bar]], first, start_s, end_s, words}; `clicks` is a sound file of the
// danced part with clicks, which begins at start_s.
const box = element.querySelector(".gk-song");
const said = element.querySelector(".gk-said");
const player = document.createElement("audio");
player.controls = true;
player.preload = "metadata";
let taps = [], shown = "", offset = 0, head = null;

function svg(tag, attributes) {
  const el = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) el.setAttribute(name, value);
  return el;
}

function button(text, label, onclick, disabled) {
  const el = document.createElement("button");
  Object.assign(el, { type: "button", textContent: text, onclick, disabled: Boolean(disabled) });
  el.setAttribute("aria-label", label);
  return el;
}

function load(src, startsAt) {
  if (shown === src) return;
  shown = src;
  offset = startsAt;
  player.src = src;
}

function now() { return player.currentTime + offset; }

function tap() {
  taps.push(Number(now().toFixed(3)));
  if (player.paused) player.play();
  said.textContent = `${taps.length} taps.`;
  renderBar();
}

function use() {
  props.value = { ...(props.value || {}), taps };
  taps = [];
  renderBar();
  trigger("tapped");
}

function picture(news) {
  const w = 1000, h = 100, x = (t) => (w * t) / news.duration_s;
  const beatWords = `${news.beats.length} beats; click one to make it the first beat of a bar`;
  const drawing = svg("svg", { viewBox: `0 0 ${w} ${h}`, preserveAspectRatio: "none", role: "img", "aria-label": beatWords });
  const step = w / news.level.length;
  const bars = news.level.map((v, i) => `M${(i * step).toFixed(1)} ${h}V${(h - 0.9 * v).toFixed(0)}h${step.toFixed(2)}V${h}`).join("");
  drawing.append(svg("path", { class: "wave", d: bars }));
  news.beats.forEach(([t, place], i) => {
    const kind = i === news.first ? "beat down first" : place === 1 ? "beat down" : "beat";
    drawing.append(svg("line", { class: kind, x1: x(t), x2: x(t), y1: place === 1 ? 0 : 30, y2: h }));
  });
  for (const [from, to] of [[0, news.start_s], [news.end_s, news.duration_s]])
    if (to > from) drawing.append(svg("rect", { class: "outside", x: x(from), y: 0, width: x(to) - x(from), height: h }));
  head = svg("line", { class: "head", x1: -9, x2: -9, y1: 0, y2: h });
  drawing.append(head);
  drawing.addEventListener("click", (e) => {
    const frame = drawing.getBoundingClientRect(), t = ((e.clientX - frame.left) / frame.width) * news.duration_s;
    let best = 0;
    news.beats.forEach(([at], i) => { if (Math.abs(at - t) < Math.abs(news.beats[best][0] - t)) best = i; });
    props.value = { ...(props.value || {}), beat: best };
    trigger("clicked");
  });
  return drawing;
}

function renderBar() {
  const news = props.incoming || {}, bar = box.querySelector(".gk-song-bar");
  if (!bar) return;
  const inside = bar.contains(document.activeElement) ? [...bar.children].indexOf(document.activeElement) : -1;
  const withClicks = Boolean(news.clicks) && shown === news.clicks;
  bar.replaceChildren(
    button("Tap", "Tap on the beat", tap),
    button(`Use ${taps.length || ""} taps`.replace("  ", " "), "Make beats of the taps", use, taps.length < 4),
    button("Forget taps", "Forget the taps", () => { taps = []; renderBar(); }, !taps.length),
    ...(news.clicks ? [button(withClicks ? "Play without clicks" : "Play with clicks", "Change what is played", () => {
      if (withClicks) load(news.src, 0); else load(news.clicks, news.start_s);
      player.play();
      renderBar();
    })] : []),
    news.words || "");
  if (inside >= 0) bar.children[inside]?.focus({ preventScroll: true });
}

function render() {
  const news = props.incoming;
  if (!news || !news.serial) return;
  if (!news.beats.length) {
    box.replaceChildren();
    return;
  }
  if (news.clicks) {
    load(news.clicks, news.start_s);
    player.play().catch(() => { said.textContent = "Press play to hear the clicks."; });
  } else load(news.src, 0);
  const bar = document.createElement("div");
  bar.className = "gk-song-bar";
  box.replaceChildren(picture(news), player, bar);
  renderBar();
}

function follow() {
  const news = props.incoming;
  if (head && news && news.duration_s) {
    const at = (1000 * now()) / news.duration_s;
    head.setAttribute("x1", at);
    head.setAttribute("x2", at);
  }
}

player.addEventListener("timeupdate", follow);
render();
watch("incoming", render);
