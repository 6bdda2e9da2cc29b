// The keyframe strip: thumbnails in order, with the gaps between them. It owns its value
//   {keyframes: [{id, name}], gaps: [{duration_s, easing, hold_s}], selected, loop}
// (selected -1 means all gaps); the server sends new keyframes and receives the order. Thumbnails come as the
// property `thumbs` = {id: data URI}, so that they do not travel back with every event.
const box = element.querySelector(".gk-strip");
const SVG = "http://www.w3.org/2000/svg";
let dragged = null;

function state() {
  const v = props.value || {};
  return {
    keyframes: v.keyframes || [],
    gaps: v.gaps && v.gaps.length ? v.gaps : [{ duration_s: 1, easing: "linear", hold_s: 0 }],
    selected: v.selected ?? -1,
    loop: !!v.loop,
  };
}

function gapCount(v) {
  const n = v.keyframes.length;
  return n < 2 ? 0 : v.loop ? n : n - 1;
}

function commit(v, event) {  // a new value fires "change" by itself
  while (v.gaps.length < gapCount(v)) v.gaps = [...v.gaps, { ...v.gaps[v.gaps.length - 1] }];
  if (v.selected >= gapCount(v)) v.selected = -1;
  props.value = v;
  render();
  if (event) trigger(event);
}

function move(from, to) {
  const v = state();
  if (to < 0 || to >= v.keyframes.length || from === to) return;
  const list = [...v.keyframes];
  list.splice(to, 0, list.splice(from, 1)[0]);
  commit({ ...v, keyframes: list });
  element.querySelectorAll(".gk-key")[to]?.focus();
}

function remove(index) {
  const v = state();
  const gaps = [...v.gaps];
  if (gaps.length > 1) gaps.splice(Math.min(index, gaps.length - 1), 1);
  commit({ ...v, keyframes: v.keyframes.filter((_, i) => i !== index), gaps });
}

function node(tag, attributes, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) el.setAttribute(name, value === true ? "" : value);
  }
  el.append(...children);
  return el;
}

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
  const thumb = (props.thumbs || {})[key.id];
  return node(
    "div",
    {
      class: "gk-key", draggable: "true", tabindex: "0", role: "listitem",
      "aria-label": `Keyframe ${i + 1} of ${n}: ${key.name}. Arrow keys move it, Delete removes it.`,
      ondragstart: (e) => { dragged = i; e.dataTransfer.effectAllowed = "move"; e.dataTransfer.setData("text/plain", String(i)); },
      ondragover: (e) => { if (dragged !== null) { e.preventDefault(); e.currentTarget.classList.add("gk-over"); } },
      ondragleave: (e) => e.currentTarget.classList.remove("gk-over"),
      ondragend: () => { dragged = null; },
      ondrop: (e) => { e.preventDefault(); if (dragged !== null) move(dragged, i); dragged = null; },
      onkeydown: (e) => {
        if (e.target !== e.currentTarget) return;
        if (e.key === "ArrowLeft") { e.preventDefault(); move(i, i - 1); }
        if (e.key === "ArrowRight") { e.preventDefault(); move(i, i + 1); }
        if (e.key === "Delete" || e.key === "Backspace") { e.preventDefault(); remove(i); }
      },
    },
    node("img", { src: thumb || "", alt: "", draggable: "false" }),
    node("span", { class: "gk-number" }, String(i + 1)),
    node("span", { class: "gk-name", title: key.name }, key.name),
    node("div", { class: "gk-buttons" },
      node("button", { type: "button", title: "Move left", "aria-label": `Move keyframe ${i + 1} left`, disabled: i === 0, onclick: () => move(i, i - 1) }, "‹"),
      node("button", { type: "button", title: "Remove", "aria-label": `Remove keyframe ${i + 1}`, onclick: () => remove(i) }, "×"),
      node("button", { type: "button", title: "Move right", "aria-label": `Move keyframe ${i + 1} right`, disabled: i === n - 1, onclick: () => move(i, i + 1) }, "›"),
    ),
  );
}

function gapChip(v, g) {
  const gap = v.gaps[g] || v.gaps[v.gaps.length - 1];
  const to = (g + 1) % v.keyframes.length;
  const chosen = v.selected === g || v.selected === -1;
  return node(
    "button",
    {
      type: "button", class: "gk-gap" + (chosen ? " gk-chosen" : ""), "aria-pressed": String(v.selected === g),
      title: `Gap ${g + 1} to ${to + 1}: ${gap.duration_s} s, ${gap.easing}`,
      onclick: () => commit({ ...state(), selected: state().selected === g ? -1 : g }, "picked"),
    },
    curve(gap.easing),
    node("span", {}, `${+(+gap.duration_s).toFixed(2)} s`),
    node("small", {}, gap.hold_s > 0 ? `hold ${+(+gap.hold_s).toFixed(2)} s` : ""),
  );
}

function render() {
  const v = state();
  box.textContent = "";
  if (!v.keyframes.length) {
    box.append(node("p", { class: "gk-empty" }, "No keyframes yet: drop images above, or take an example."));
    return;
  }
  const row = node("div", { class: "gk-row", role: "list" });
  v.keyframes.forEach((key, i) => {
    row.append(keyCard(v, key, i));
    if (i < gapCount(v)) row.append(gapChip(v, i));
  });
  box.append(row);
  if (gapCount(v) > 0) {
    const which = v.selected < 0 ? "all gaps" : `the gap from ${v.selected + 1} to ${((v.selected + 1) % v.keyframes.length) + 1}`;
    box.append(node("p", { class: "gk-hint" }, `The timing below sets ${which}. Click a gap to set it alone, click it again for all.`));
  }
}

render();
watch(["value", "thumbs"], render);
