// The choreography as a coloured timeline, a segment each, and a small looping figure per label. It alone owns its value
//   {labels: ["A", "A'", ...]}
// after a change by hand, and fires `edited`. The server says what the pattern is by the property `incoming` = {serial,
// labels, colours: {label: css}, figures: {label: address}, words}. A label to be pinned is told to the keyframes (dance_poses.js)
// by the event "gk-dance-pin" on the document.
const box = element.querySelector(".gk-steps");
const said = element.querySelector(".gk-said");
let picked = null;

const node = window.gkNode;

function set(i, label) {
  const labels = [...props.incoming.labels];
  labels[i] = label;
  picked = i + 1 < labels.length ? i + 1 : i;
  props.value = { labels };
  said.textContent = `Segment ${i + 1} is now ${label}.`;
  trigger("edited");
}

function pin(label) {
  return node("button", { type: "button", "data-at": `pin ${label}`, title: `Choose the keyframes that ${label} is danced by`,
    onclick: () => document.dispatchEvent(new CustomEvent("gk-dance-pin", { detail: label })) }, `Pin ${label}`);
}

function choices(labels) {  // every label that is there, its mirror, and one new letter
  const bases = [...new Set(labels.map((label) => label.replace("'", "")))].sort();
  const unused = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"].find((letter) => !bases.includes(letter));
  return [...bases.flatMap((base) => [base, `${base}'`]), ...(unused ? [unused] : [])];
}

function render() {
  const news = props.incoming;
  if (!news || !news.serial) return;
  const at = box.contains(document.activeElement) ? document.activeElement.dataset.at : null;
  const colour = (label) => `--label: ${news.colours[label] || "#555"}`;
  const line = node("ol", {}, ...news.labels.map((label, i) => node("li", {},
    node("button", { type: "button", style: colour(label), "data-at": `segment ${i}`, "aria-pressed": String(picked === i),
      "aria-label": `Segment ${i + 1}: ${label}`, onclick: () => { picked = picked === i ? null : i; render(); } }, label))));
  const bar = node("div", { class: "gk-steps-bar" }, news.words || "");
  if (picked !== null && picked < news.labels.length) {
    bar.replaceChildren(`Segment ${picked + 1} becomes`, ...choices(news.labels).map((label) =>
      node("button", { type: "button", "data-at": `to ${label}`, "aria-label": `Make segment ${picked + 1} ${label}`, onclick: () => set(picked, label) }, label)), pin(news.labels[picked]));
  }
  const figures = Object.entries(news.figures || {}).filter(([label]) => news.labels.includes(label));
  const dancers = node("div", { class: "gk-dancers" }, ...figures.map(([label, src]) =>
    node("figure", { style: colour(label) }, node("img", { src, alt: `what ${label} looks like` }), node("figcaption", {}, label, pin(label)))));
  box.replaceChildren(line, bar, ...(figures.length ? [dancers] : []));
  if (at) [...box.querySelectorAll("[data-at]")].find((el) => el.dataset.at === at)?.focus({ preventScroll: true });
}

render();
watch("incoming", render);
