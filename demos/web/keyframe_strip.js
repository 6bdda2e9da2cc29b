// The keyframe strip: thumbnails in order, with the gaps between them. It alone owns its value
//   {keyframes: [{id, name}], gaps: [{duration_s, easing, hold_s}], closing, selected, loop}
// (selected -1: all gaps; closing: a loop's last gap, kept while the loop is off). What the server adds comes as the
// property `incoming` = {serial, keyframes, thumbs, replace, gaps, loop} and is merged into the value as it is at that
// moment, so that no edit made meanwhile is lost.
const box = element.querySelector(".gk-strip");
const said = element.querySelector(".gk-said");
const SVG = "http://www.w3.org/2000/svg";
const DEFAULT_GAP = { duration_s: 1, easing: "linear", hold_s: 0 };
const thumbs = {};
let dragged = null, serial = null;

function state() {
  const v = props.value || {};
  const gaps = v.gaps && v.gaps.length ? v.gaps : [DEFAULT_GAP];
  return { ...v, keyframes: v.keyframes || [], gaps, selected: v.selected ?? -1, loop: !!v.loop };
}

function gapCount(v) {
  const n = v.keyframes.length;
  return n < 2 ? 0 : v.loop ? n : n - 1;
}

function commit(v, event) {  // a new value fires "change" by itself
  const gaps = [...v.gaps];
  while (gaps.length < gapCount(v)) gaps.push({ ...gaps[gaps.length - 1] });
  props.value = { ...v, gaps, selected: v.selected < gapCount(v) ? v.selected : -1 };
  render();
  if (event) trigger(event);
}

function receive() {
  const news = props.incoming;
  if (!news || !news.serial || news.serial === serial) return;
  serial = news.serial;
  Object.assign(thumbs, news.thumbs);
  let v = state();
  const full = gapCount(v) > 0 && v.gaps.length === gapCount(v);
  v.keyframes = [...(news.replace ? [] : v.keyframes), ...news.keyframes];
  if (news.gaps) v = { ...v, gaps: news.gaps, loop: news.loop, closing: null, selected: -1 };
  else if (v.loop && full && !news.replace) {  // new gaps come before the one that closes the loop
    const closing = v.gaps[v.gaps.length - 1];
    const open = v.gaps.slice(0, -1);
    while (open.length < v.keyframes.length - 1) open.push({ ...(open[open.length - 1] || closing) });
    v.gaps = [...open, closing];
  }
  commit(v, "picked");
}

function move(from, to) {
  const v = state();
  if (to < 0 || to >= v.keyframes.length || from === to) return;
  const list = [...v.keyframes];
  list.splice(to, 0, list.splice(from, 1)[0]);
  commit({ ...v, keyframes: list });
  say(`${list[to].name} is now keyframe ${to + 1} of ${list.length}.`);
}

function remove(index) {
  const v = state();
  const n = v.keyframes.length;
  const gaps = [...v.gaps];
  const gone = Math.min(index, v.loop ? n - 1 : n - 2);  // the gap after it; the last keyframe takes the gap before it
  if (n > 2 && gaps.length > 1) gaps.splice(gone, 1);
  const selected = v.selected === gone ? -1 : v.selected > gone ? v.selected - 1 : v.selected;
  commit({ ...v, keyframes: v.keyframes.filter((_, i) => i !== index), gaps, selected }, "picked");
  const next = box.querySelectorAll(".gk-key")[Math.min(index, n - 2)];
  if (next) next.focus({ preventScroll: true });
  say(`${v.keyframes[index].name} removed, ${n - 1} left.`);
}

function say(text) { said.textContent = text; }

const node = window.gkNode;

function curve(easing) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "-2 -8 44 56");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", window.gkEasing.path(easing, 40, 40));
  svg.append(path);
  return svg;
}

function keyCard(v, key, i) {
  const n = v.keyframes.length;
  return node(
    "div",
    {
      class: "gk-key", draggable: "true", tabindex: "0", role: "listitem", "data-at": `key ${key.id}`,
      "aria-label": `Keyframe ${i + 1} of ${n}: ${key.name}. Arrow keys move it, Delete removes it.`,
      ondragstart: (e) => { dragged = key.id; e.dataTransfer.effectAllowed = "move"; e.dataTransfer.setData("text/plain", key.name); },
      ondragover: (e) => { if (dragged !== null) { e.preventDefault(); e.currentTarget.classList.add("gk-over"); } },
      ondragleave: (e) => e.currentTarget.classList.remove("gk-over"),
      ondragend: () => { dragged = null; },
      ondrop: (e) => {
        e.preventDefault();
        const list = state().keyframes;
        const from = list.findIndex((k) => k.id === dragged), to = list.findIndex((k) => k.id === key.id);
        if (from >= 0) move(from, to);
        dragged = null;
      },
      onkeydown: (e) => {
        if (e.target !== e.currentTarget) return;
        if (e.key === "ArrowLeft") { e.preventDefault(); move(i, i - 1); }
        if (e.key === "ArrowRight") { e.preventDefault(); move(i, i + 1); }
        if (e.key === "Delete" || e.key === "Backspace") { e.preventDefault(); remove(i); }
      },
    },
    node("img", { src: thumbs[key.id] || "", alt: "", draggable: "false" }),
    node("span", { class: "gk-number" }, String(i + 1)),
    node("span", { class: "gk-name", title: key.name }, key.name),
    node("div", { class: "gk-buttons" },
      node("button", { type: "button", "data-at": `left ${key.id}`, title: "Move left", "aria-label": `Move keyframe ${i + 1} left`, disabled: i === 0, onclick: () => move(i, i - 1) }, "‹"),
      node("button", { type: "button", "data-at": `remove ${key.id}`, title: "Remove", "aria-label": `Remove keyframe ${i + 1}`, onclick: () => remove(i) }, "×"),
      node("button", { type: "button", "data-at": `right ${key.id}`, title: "Move right", "aria-label": `Move keyframe ${i + 1} right`, disabled: i === n - 1, onclick: () => move(i, i + 1) }, "›"),
    ),
  );
}

function gapChip(v, g) {
  const gap = v.gaps[g] || v.gaps[v.gaps.length - 1];
  const to = (g + 1) % v.keyframes.length;
  const chosen = v.selected === g || v.selected === -1;
  const hold = gap.hold_s > 0 ? `hold ${+(+gap.hold_s).toFixed(2)} s` : "";
  const words = `Gap from ${g + 1} to ${to + 1}: ${gap.duration_s} s, ${gap.easing}${hold ? ", " + hold : ""}`;
  const button = node(
    "button",
    {
      type: "button", class: "gk-gap" + (chosen ? " gk-chosen" : ""), "aria-pressed": String(v.selected === g),
      "data-at": `gap ${g}`, title: words, "aria-label": words + ". Choose to set it alone.",
      onclick: () => commit({ ...state(), selected: state().selected === g ? -1 : g }, "picked"),
    },
    curve(gap.easing),
    node("span", {}, gap.duration_s === null ? "? s" : `${+(+gap.duration_s).toFixed(2)} s`),
    node("small", {}, hold),
  );
  return node("div", { role: "listitem" }, button);
}

function hint(v) {
  const n = gapCount(v);
  if (v.keyframes.length === 1) return "One more image is needed.";
  if (n === 1) return "The timing below is that of this gap.";
  const end = ((v.selected + 1) % v.keyframes.length) + 1;
  if (v.selected >= 0) return `The timing below sets the gap from ${v.selected + 1} to ${end}. Click it again to set all gaps.`;
  const differ = new Set(v.gaps.slice(0, n).map((g) => JSON.stringify([g.duration_s, g.easing, g.hold_s]))).size > 1;
  return `The timing below sets all gaps${differ ? " (they differ; the first is shown)" : ""}. Click a gap to set it alone.`;
}

function render() {
  const v = state();
  const at = box.contains(document.activeElement) ? document.activeElement.dataset.at : null;
  box.textContent = "";
  if (!v.keyframes.length) {
    box.append(node("p", { class: "gk-empty" }, "No keyframes yet: drop images above, or take an example."));
    return;
  }
  const row = node("div", { class: "gk-row", role: "list", "aria-label": "Keyframes and the gaps between them" });
  v.keyframes.forEach((key, i) => {
    row.append(keyCard(v, key, i));
    if (i < gapCount(v)) row.append(gapChip(v, i));
  });
  box.append(row, node("p", { class: "gk-hint" }, hint(v)));
  if (at) focusAgain(at);
}

function focusAgain(at) {  // the elements are new; the keyboard stays where it was
  const find = (name) => [...box.querySelectorAll("[data-at]")].find((el) => el.dataset.at === name && !el.disabled);
  const again = find(at) || find("key " + at.split(" ")[1]);
  if (again) again.focus({ preventScroll: true });
}

render();
receive();
watch("value", render);
watch("incoming", receive);
