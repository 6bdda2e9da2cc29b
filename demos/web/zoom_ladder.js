// The ladder of prompts: one per level with its scale, the widest first. It alone owns its value {p, levels: [{prompt}]}.
// What the server adds (a template, a file, a suggestion) comes as the property `incoming` = {serial, p, levels} and
// replaces the levels; Undo brings back what was there.
const box = element.querySelector(".gk-ladder");
const said = element.querySelector(".gk-said");
const MOST = 24;
let serial = null, undo = null;

function state() {
  const v = props.value || {};
  return { p: v.p || 4, levels: v.levels || [] };
}

function commit(v, focus) {
  props.value = v;
  render(focus);
}

function replace(v, words) {
  const old = state();
  if (old.levels.some((level) => level.prompt.trim())) undo = old;
  commit(v);
  said.textContent = words;
}

function receive() {
  const news = props.incoming;
  if (!news || !news.serial || news.serial === serial) return;
  serial = news.serial;
  replace({ p: news.p, levels: news.levels }, `${news.levels.length} levels are set.`);
}

function scale(p, i) {
  const s = Math.pow(p, i);
  return s < 1e6 ? `${s.toLocaleString("en-GB")}x` : `${p}^${i}x`;
}

const node = window.gkNode;

function insert(i, prompt) {
  const v = state();
  if (v.levels.length >= MOST) { said.textContent = `At most ${MOST} levels are taken.`; return; }
  const levels = [...v.levels];
  levels.splice(i, 0, { prompt });
  commit({ ...v, levels }, `prompt ${i}`);
}

function remove(i) {
  const v = state();
  undo = v;
  commit({ ...v, levels: v.levels.filter((_, k) => k !== i) }, `prompt ${Math.min(i, v.levels.length - 2)}`);
  said.textContent = `Level ${i + 1} removed, ${v.levels.length - 1} left.`;
}

function move(i, to) {
  const v = state(), levels = [...v.levels];
  if (to < 0 || to >= levels.length) return;
  levels.splice(to, 0, levels.splice(i, 1)[0]);
  commit({ ...v, levels }, `prompt ${to}`);
  said.textContent = `Level ${i + 1} is now level ${to + 1}.`;
}

function type(i, text) {  // several pasted lines become several levels
  const v = state(), levels = [...v.levels], lines = text.split("\n");
  const wanted = lines.length > 1 ? lines.filter((line) => line.trim()) : [text.replace("\n", " ")];
  levels.splice(i, 1, ...(wanted.length ? wanted : [""]).map((prompt) => ({ prompt })));
  const cut = levels.length > MOST;
  if (cut) said.textContent = `At most ${MOST} levels are taken; the rest was left out.`;
  if (wanted.length > 1) { undo = v; commit({ ...v, levels: levels.slice(0, MOST) }, `prompt ${i}`); }
  else props.value = { ...v, levels };
}

function row(v, level, i) {
  const small = (label, sign, at, onclick) => node("button", { type: "button", title: label, "aria-label": label, "data-at": at, onclick }, sign);
  const text = node("textarea", {
    rows: 2, "aria-label": `Level ${i + 1}, ${scale(v.p, i)}`, "data-at": `prompt ${i}`, maxlength: 4000,
    placeholder: i ? `what the middle shows ${v.p}x closer` : "what the widest level shows",
    oninput: (e) => type(i, e.target.value),
    onkeydown: (e) => { if (e.key === "Enter" && !e.shiftKey) { e.preventDefault(); insert(i + 1, ""); } },
  });
  text.value = level.prompt;
  return node("li", {},
    node("b", {}, scale(v.p, i)), text,
    node("span", { class: "gk-rung-buttons" },
      small(`Move level ${i + 1} up`, "↑", `up ${i}`, () => move(i, i - 1)),
      small(`Move level ${i + 1} down`, "↓", `down ${i}`, () => move(i, i + 1)),
      small(`Duplicate level ${i + 1}`, "+", `copy ${i}`, () => insert(i + 1, level.prompt)),
      small(`Remove level ${i + 1}`, "×", `remove ${i}`, () => remove(i))));
}

function save() {  // the same file as the library's Ladder.to_json
  const v = state();
  const levels = v.levels.map((level, i) => ({ scale: scale(v.p, i), prompt: level.prompt }));
  const file = new Blob([JSON.stringify({ format: "genkey-zoom-ladder", p: v.p, levels }, null, 2) + "\n"], { type: "application/json" });
  const link = node("a", { href: URL.createObjectURL(file), download: "zoom-prompts.json" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function render(focus) {
  const v = state(), inside = box.contains(document.activeElement) ? document.activeElement.dataset.at : null;
  const factors = [...new Set([2, 4, v.p])].sort((a, b) => a - b);
  const p = node("select", { "aria-label": "Zoom factor between levels", "data-at": "p", onchange: (e) => commit({ ...state(), p: Number(e.target.value) }) },
    ...factors.map((value) => node("option", { value, selected: value === v.p }, `${value}x per level`)));
  const add = node("button", { type: "button", "data-at": "add", onclick: () => insert(state().levels.length, "") }, "Add a level");
  const back = node("button", { type: "button", "data-at": "undo", disabled: !undo, onclick: () => { const old = undo; undo = null; commit(old); said.textContent = "Undone."; } }, "Undo");
  const out = node("button", { type: "button", "data-at": "save", disabled: !v.levels.length, onclick: save }, "Export JSON");
  box.replaceChildren(node("div", { class: "gk-ladder-bar" }, p, add, back, out), node("ol", {}, ...v.levels.map((level, i) => row(v, level, i))));
  if (!v.levels.length) box.append(node("p", { class: "gk-hint" }, "No levels yet: add some, choose a template, or drop a JSON file. Several pasted lines become several levels."));
  const at = focus || inside;
  if (at) [...box.querySelectorAll("[data-at]")].find((el) => el.dataset.at === at)?.focus({ preventScroll: true });
}

receive();
render();
watch("incoming", receive);
