// The keyframes, below each its mirror, and the wishes that are made by clicking on them. It alone owns its value
//   {pins: {label: ["1>4", "2>5'"]}, ends: ["A"], never: ["3'"]}
// after a change by hand, and fires `wished`. The server says what is shown by the properties `incoming` = {serial, images:
// [address], words: [sentence]} and `wishes` = {serial, labels, colours: {label: css}, pins, ends, never}. The event
// "gk-dance-pin" on the document chooses a label from elsewhere on the page (dance_steps.js), and a click on anything with
// data-gk-pin="A 2>5'" pins that pair.
const box = element.querySelector(".gk-keyframes");
const said = element.querySelector(".gk-said");
let mode = null;  // the label that is being pinned, "" while keyframes are excluded, null otherwise
let start = null;  // the first keyframe of the pin
let wishes = { labels: [], colours: {}, pins: {}, ends: [], never: [] };

const node = window.gkNode;

function change(what, words) {
  wishes = { ...wishes, ...what };
  props.value = { pins: wishes.pins, ends: wishes.ends, never: wishes.never };
  said.textContent = words;
  render();
  trigger("wished");
}

function choose(label) {
  mode = mode === label ? null : label;
  start = null;
  said.textContent = hint();
  render();
}

function toggled(list, item) { return list.includes(item) ? list.filter((other) => other !== item) : [...list, item]; }

function click(name) {
  if (mode === "") return change({ never: toggled(wishes.never, name) }, `Never ${name}: changed.`);
  if (mode === null) return;
  if (start === null) {
    start = name;
    said.textContent = hint();
    return render();
  }
  if (start === name) return;
  const pair = `${start}>${name}`, pins = wishes.pins[mode] || [], label = mode;
  mode = start = null;
  change({ pins: { ...wishes.pins, [label]: pins.includes(pair) ? pins : [...pins, pair] } }, `${label} is danced from ${pair.replace(">", " to ")}.`);
}

function unpin(label, pair) {
  const pins = { ...wishes.pins, [label]: wishes.pins[label].filter((other) => other !== pair) };
  if (!pins[label].length) delete pins[label];
  change({ pins }, `${label} is no longer pinned to ${pair}.`);
}

function hint() {
  if (mode === "") return "Click every keyframe that must not be seen.";
  if (mode === null) return "";
  return start === null ? `Click the keyframe in which ${mode} begins.` : `${mode} begins in ${start}; click the one in which it ends.`;
}

function pose(src, name) {
  const mirror = name.endsWith("'"), never = wishes.never.includes(name);
  const words = `Keyframe ${name}${mirror ? " (mirrored)" : ""}${never ? ", never shown" : ""}`;
  return node("button", { type: "button", class: `pose${mirror ? " mirror" : ""}${never ? " never" : ""}`, "data-at": `pose ${name}`, "aria-label": words,
    "aria-pressed": String(start === name || (mode === "" && never)), disabled: mode === null, onclick: () => click(name) },
    node("img", { src, alt: "" }), node("span", {}, name));
}

function bar() {
  const label = (name) => node("button", { type: "button", class: "label", style: `--label: ${wishes.colours[name] || "#555"}`, "data-at": `pin ${name}`,
    "aria-label": `Pin ${name}`, "aria-pressed": String(mode === name), onclick: () => choose(name) }, name);
  const never = node("button", { type: "button", "data-at": "never", "aria-pressed": String(mode === ""), onclick: () => choose("") }, "Never a keyframe…");
  const ends = mode && node("button", { type: "button", "data-at": "ends", "aria-pressed": String(wishes.ends.includes(mode)),
    onclick: () => change({ ends: toggled(wishes.ends, mode) }, `${mode} ends in its first pose mirrored: changed.`) }, `${mode} ends in its first pose mirrored`);
  return node("div", { class: "gk-steps-bar" }, "Pin a step:", ...wishes.labels.map(label), never, ...(ends ? [ends] : []), ...(hint() ? [node("b", {}, hint())] : []));
}

function made() {
  const chip = (words, undo) => node("button", { type: "button", class: "wish", "data-at": `undo ${words}`, "aria-label": `Take back: ${words}`, onclick: undo }, `${words} ✕`);
  const pins = Object.entries(wishes.pins).flatMap(([label, pairs]) => pairs.map((pair) => chip(`${label}: ${pair}`, () => unpin(label, pair))));
  const ends = wishes.ends.map((label) => chip(`${label} ends mirrored`, () => change({ ends: toggled(wishes.ends, label) }, "Taken back.")));
  const never = wishes.never.map((name) => chip(`never ${name}`, () => change({ never: toggled(wishes.never, name) }, "Taken back.")));
  return node("div", { class: "gk-steps-bar" }, ...pins, ...ends, ...never);
}

function render() {
  const news = props.incoming || {}, images = news.images || [];
  const at = box.contains(document.activeElement) ? document.activeElement.dataset.at : null;
  if (!images.length) return box.replaceChildren();
  const row = node("div", { class: "gk-poses" }, ...images.map((src, k) => node("figure", {}, pose(src, `${k + 1}`), pose(src, `${k + 1}'`))));
  box.replaceChildren(row, ...(wishes.labels.length ? [bar(), made()] : []), ...(news.words || []).map((words) => node("p", {}, words)));
  if (at) [...box.querySelectorAll("[data-at]")].find((el) => el.dataset.at === at)?.focus({ preventScroll: true });
}

function pinned({ detail }) {
  if (!element.isConnected) return document.removeEventListener("gk-dance-pin", pinned);
  if (!(props.incoming || {}).images?.length || !wishes.labels.includes(detail)) return;
  mode = null;
  choose(detail);
  box.scrollIntoView({ block: "nearest", behavior: "smooth" });
}

function pinnedPair(event) {  // "Pin this" beside a dance that was found
  if (!element.isConnected) return document.removeEventListener("click", pinnedPair);
  const told = event.target.closest?.("[data-gk-pin]")?.dataset.gkPin;
  if (!told || !(props.incoming || {}).images?.length) return;
  const [label, pair] = told.split(" ");
  change({ pins: { ...wishes.pins, [label]: [pair] } }, `${label} is danced from ${pair.replace(">", " to ")}.`);
}

document.addEventListener("gk-dance-pin", pinned);
document.addEventListener("click", pinnedPair);
render();
watch("incoming", () => { mode = start = null; render(); });
watch("wishes", () => {
  if (!(props.wishes || {}).serial) return;
  wishes = { ...wishes, ...props.wishes };
  if (mode && !wishes.labels.includes(mode)) mode = start = null;
  render();
});
