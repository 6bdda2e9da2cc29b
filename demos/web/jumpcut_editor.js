// What is to be cut: loudness over thumbnails with the rows marked, and the rows as a list. It alone owns its value
//   {rows: [{id, start_s, end_s, kind, confidence, remove, text, own}], picked}
// (own: the user changed or added it). The server proposes rows by the property `incoming` = {serial, fresh, rows, add,
// restore}, which are merged into the value as it is at that moment: a row that the user touched is never replaced. The
// property `view` = {serial, duration_s, level, thumbs, ratio} is what is drawn, `cut` = {serial, removed} what really goes.
const box = element.querySelector(".gk-cut");
const said = element.querySelector(".gk-said");
const SVG = "http://www.w3.org/2000/svg";
const KINDS = { pause: "Pause", filler: "Filler", repeat: "Repeat", range: "Range", shot: "Cut in the footage" };
const THUMBS_H = 54, WAVE_H = 64, AXIS_H = 22, LIST = 200;
let serial = null, shownFrom = 0, playing = null;

function state() {
  const v = props.value || {};
  return { ...v, rows: v.rows || [] };
}

function commit(rows, extra) {
  props.value = { ...state(), ...extra, rows: [...rows].sort((a, b) => a.start_s - b.start_s || a.end_s - b.end_s) };
  render();
}

function receive() {
  const news = props.incoming;
  if (!news || !news.serial || news.serial === serial) return;
  serial = news.serial;
  let rows = state().rows;
  if (news.fresh) { rows = []; shownFrom = 0; }
  if (news.restore) rows = news.restore;
  if (news.rows) {
    const mine = rows.filter((r) => r.own), kept = new Set(mine.map((r) => r.id));
    rows = [...mine, ...news.rows.filter((r) => !kept.has(r.id))];
  }
  if (news.add) rows = [...rows, ...news.add];
  commit(rows, { heard: news.serial });
}

function change(id, fields) {
  commit(state().rows.map((r) => (r.id === id ? { ...r, ...fields, own: true } : r)));
}

const node = window.gkNode;

function drawn(tag, attributes, text) {
  const el = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) el.setAttribute(name, value);
  if (text !== undefined) el.textContent = text;
  return el;
}

function clock(s) {
  const minutes = Math.floor(s / 60), rest = s - 60 * minutes;
  return minutes ? `${minutes}:${rest.toFixed(2).padStart(5, "0")}` : `${rest.toFixed(2)} s`;
}

function player() { return document.querySelector("#jumpcut-player video"); }

function play(from, to) {  // of the source's small copy
  const video = player();
  if (!video) { say("There is no preview of this video to play."); return; }
  if (playing) video.removeEventListener("timeupdate", playing);
  const skip = to === undefined;
  playing = () => {
    const t = video.currentTime;
    if (!skip && t >= to) { video.pause(); video.removeEventListener("timeupdate", playing); return; }
    const gone = skip && (props.cut?.removed || []).find(([a, b]) => t >= a && t < b - 0.02);
    if (gone) video.currentTime = gone[1];
  };
  video.addEventListener("timeupdate", playing);
  video.currentTime = Math.max(0, from);
  video.play().catch(() => say("This browser does not play the preview by itself; press its play button."));
}

function say(text) { said.textContent = text; }

function timeline(rows) {
  const view = props.view || {}, duration = view.duration_s || 1;
  const width = Math.min(12000, Math.max(900, Math.round(duration * 24))), height = THUMBS_H + WAVE_H + AXIS_H;
  const x = (s) => (Math.min(s, duration) / duration) * width;
  const svg = drawn("svg", {
    viewBox: `0 0 ${width} ${height}`, width, height, role: "img",
    "aria-label": `Loudness over ${clock(duration)} with ${rows.length} rows marked`,
  });
  if (width === 900) svg.setAttribute("class", "gk-fits");
  const thumbs = view.thumbs || [], step = width / Math.max(1, thumbs.length), wide = THUMBS_H * (view.ratio || 1);
  const every = Math.max(1, Math.ceil(wide / step));
  thumbs.forEach((src, i) => {
    if (i % every) return;
    const room = Math.min(every * step, width - i * step);
    svg.append(drawn("image", { href: src, x: (i * step).toFixed(1), y: 0, width: room.toFixed(1), height: THUMBS_H, preserveAspectRatio: "xMinYMid slice" }));
  });
  const level = view.level || [], middle = THUMBS_H + WAVE_H / 2;
  if (level.length) {
    const at = (i, sign) => `${((i + 0.5) * width / level.length).toFixed(1)} ${(middle - sign * Math.max(0.5, level[i] / 100 * (WAVE_H / 2 - 3))).toFixed(1)}`;
    const up = level.map((_, i) => at(i, 1)), down = level.map((_, i) => at(level.length - 1 - i, -1));
    svg.append(drawn("path", { class: "wave", d: `M${up.join("L")}L${down.join("L")}Z` }));
  } else svg.append(drawn("text", { x: 8, y: middle + 4 }, "no sound"));
  for (const [a, b] of props.cut?.removed || [])
    svg.append(drawn("rect", { class: "gone", x: x(a).toFixed(1), y: 0, width: Math.max(1, x(b) - x(a)).toFixed(1), height: THUMBS_H + WAVE_H }));
  for (const r of rows) {
    const mark = drawn("rect", {
      class: `mark ${r.kind}${r.remove ? "" : " stays"}${r.id === state().picked ? " picked" : ""}`, x: x(r.start_s).toFixed(1), y: THUMBS_H,
      width: Math.max(2, x(r.end_s) - x(r.start_s)).toFixed(1), height: WAVE_H,
    });
    mark.append(drawn("title", {}, `${KINDS[r.kind]} ${clock(r.start_s)} to ${clock(r.end_s)}, ${r.remove ? "removed" : "kept"}`));
    mark.addEventListener("click", (e) => { e.stopPropagation(); pick(r); });
    svg.append(mark);
  }
  const steps = [0.5, 1, 2, 5, 10, 30, 60, 120, 300].find((s) => x(s) >= 70) || 600;
  for (let s = 0; s <= duration; s += steps) {
    svg.append(drawn("path", { class: "tick", d: `M${x(s).toFixed(1)} ${THUMBS_H + WAVE_H}v5` }));
    const label = s >= 60 ? `${Math.floor(s / 60)}:${String(Math.round(s % 60)).padStart(2, "0")}` : `${s} s`;
    svg.append(drawn("text", { x: Math.min(x(s) + 3, width - 30).toFixed(1), y: height - 6 }, label));
  }
  svg.addEventListener("click", (e) => {
    const area = svg.getBoundingClientRect();
    play((e.clientX - area.left) / area.width * duration);
  });
  return node("div", { class: "gk-timeline", tabindex: "0", "aria-label": "Timeline; scroll sideways" }, svg);
}

function pick(r) {
  const at = state().rows.findIndex((row) => row.id === r.id);
  if (at < shownFrom || at >= shownFrom + LIST) shownFrom = Math.floor(at / LIST) * LIST;
  commit(state().rows, { picked: r.id });
  box.querySelector("tr.picked")?.scrollIntoView({ block: "nearest" });
  play(r.start_s - 0.5, r.end_s + 0.5);
}

function time(r, field, name) {
  return node("input", {
    type: "number", step: "0.01", min: "0", value: String(+r[field].toFixed(3)), "data-at": `${field} ${r.id}`, "aria-label": `${name} of row at ${clock(r.start_s)}, seconds`,
    onchange: (e) => { const s = parseFloat(e.target.value); if (Number.isFinite(s)) change(r.id, { [field]: s }); else render(); },
  });
}

function line(r) {
  const mark = r.kind === "shot";
  const name = `${KINDS[r.kind]} at ${clock(r.start_s)}`;
  return node("tr", { class: `${r.id === state().picked ? "picked" : ""}${r.remove ? "" : " stays"}` },
    node("td", {}, mark ? "mark" : node("label", { class: "gk-toggle" }, node("input", {
      type: "checkbox", checked: r.remove, "data-at": `remove ${r.id}`, "aria-label": `Remove ${name}`,
      onchange: (e) => change(r.id, { remove: e.target.checked }),
    }), r.remove ? " remove" : " keep")),
    node("td", {}, mark ? clock(r.start_s) : time(r, "start_s", "Start")),
    node("td", {}, mark ? "" : time(r, "end_s", "End")),
    node("td", {}, node("span", { class: `gk-kind ${r.kind}` }, KINDS[r.kind]), r.text ? ` “${r.text.slice(0, 60)}”` : ""),
    node("td", {}, r.own ? "yours" : `${Math.round(100 * r.confidence)} %`),
    node("td", {}, node("button", { type: "button", "data-at": `play ${r.id}`, "aria-label": `Play ${name}`, onclick: () => pick(r) }, "▶ play"),
      String(r.id).startsWith("own") ? node("button", { type: "button", "aria-label": `Delete ${name}`, onclick: () => commit(state().rows.filter((o) => o.id !== r.id)) }, "×") : ""),
  );
}

function render() {
  const rows = state().rows, at = box.contains(document.activeElement) ? document.activeElement.dataset.at : null;
  const scrolled = [box.querySelector(".gk-timeline")?.scrollLeft || 0, box.querySelector(".gk-rows")?.scrollTop || 0];
  box.textContent = "";
  if (!props.view?.serial) {
    box.append(node("p", { class: "gk-empty" }, "Nothing analysed yet: drop a video and press Analyse."));
    return;
  }
  shownFrom = shownFrom < rows.length ? shownFrom : 0;
  const shown = rows.slice(shownFrom, shownFrom + LIST);
  const going = rows.filter((r) => r.remove && r.kind !== "shot").length;
  const set = (remove) => commit(rows.map((r) => (r.kind === "shot" || r.remove === remove ? r : { ...r, remove, own: true })));
  const turn = (by) => { shownFrom = Math.max(0, shownFrom + by); render(); };
  box.append(
    timeline(rows),
    node("div", { class: "gk-tools" },
      node("button", { type: "button", onclick: () => play(player()?.ended ? 0 : player()?.currentTime || 0) }, "▶ Play as it will be cut"),
      node("button", { type: "button", onclick: () => player()?.pause() }, "Pause"),
      node("button", { type: "button", onclick: () => set(true) }, "Remove all"),
      node("button", { type: "button", onclick: () => set(false) }, "Keep all"),
      node("span", {}, `${rows.length} rows, ${going} set to be removed`),
      ...(rows.length > LIST ? [
        node("button", { type: "button", disabled: shownFrom === 0, onclick: () => turn(-LIST) }, "‹"),
        node("span", {}, `${shownFrom + 1} to ${shownFrom + shown.length}`),
        node("button", { type: "button", disabled: shownFrom + LIST >= rows.length, onclick: () => turn(LIST) }, "›"),
      ] : [])),
  );
  if (rows.length) {
    const head = node("tr", {}, ...["Cut", "Start, s", "End, s", "What", "Sure", ""].map((t) => node("th", { scope: "col" }, t)));
    box.append(node("div", { class: "gk-rows" }, node("table", {}, node("thead", {}, head), node("tbody", {}, ...shown.map(line)))));
  } else box.append(node("p", { class: "gk-hint" }, "Nothing is proposed. Type what to remove below, such as “remove 3.2 to 4.1 s”."));
  box.querySelector(".gk-timeline").scrollLeft = scrolled[0];
  if (rows.length) box.querySelector(".gk-rows").scrollTop = scrolled[1];
  if (at) [...box.querySelectorAll("[data-at]")].find((el) => el.dataset.at === at)?.focus({ preventScroll: true });
}

render();
receive();
watch("value", render);
watch("incoming", receive);
watch("view", render);
watch("cut", render);
