// The cuts that the rows make: what triage says of each, and how each is to be hidden. It alone owns its value
//   {choices: [{last, first, mode}], picked: [last, first] of the cut to compare}
// (by source frames, so that a choice survives when other rows change). The server says what the cuts are by the property
// `incoming` = {serial, fresh, cuts: [{last, first, at_s, removed_s, score, reason, recommended, done}], modes}.
const box = element.querySelector(".gk-cuts");
let fresh = null;

function state() {
  const v = props.value || {};
  return { ...v, choices: v.choices || [] };
}

function receive() {
  const news = props.incoming;
  if (news && news.fresh && news.fresh !== fresh) {
    fresh = news.fresh;
    if (state().choices.length) props.value = { choices: [], picked: null };
  }
  render();
}

function chosen(cut) {
  const found = state().choices.filter((c) => c.last < cut.first && cut.last < c.first);
  return found.length ? found[found.length - 1].mode : "";
}

function choose(cut, mode) {
  const others = state().choices.filter((c) => !(c.last < cut.first && cut.last < c.first));
  props.value = { ...state(), choices: mode ? [...others, { last: cut.last, first: cut.first, mode }] : others };
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

function line(cut, i) {
  const modes = (props.incoming || {}).modes || [];
  const judged = cut.score !== null && cut.score !== undefined;
  const select = node("select", { "aria-label": `How cut ${i + 1} is hidden`, "data-at": `mode ${i}`, onchange: (e) => choose(cut, e.target.value) },
    ...[["", "as set for all"], ...modes].map(([value, label]) => node("option", { value, selected: chosen(cut) === value }, label)));
  return node("tr", {},
    node("td", { class: "gk-short" }, String(i + 1)),
    node("td", { class: "gk-short" }, `${cut.at_s.toFixed(2)} s`),
    node("td", { class: "gk-short" }, `${cut.removed_s.toFixed(2)} s`),
    node("td", { class: "gk-short" }, judged ? node("span", { class: "gk-score", style: `--score: ${cut.score}` }, `${Math.round(100 * cut.score)} %`) : "–"),
    node("td", {}, judged ? `${cut.reason} ` : "not looked at yet ", judged ? node("b", {}, `→ ${cut.recommended}`) : ""),
    node("td", {}, select),
    node("td", {}, cut.done ? node("button", { type: "button", "data-at": `compare ${i}`, onclick: () => { props.value = { ...state(), picked: [cut.last, cut.first] }; trigger("picked"); } }, `${cut.done}: compare`) : ""),
  );
}

function render() {
  const cuts = (props.incoming || {}).cuts || [];
  const at = box.contains(document.activeElement) ? document.activeElement.dataset.at : null;
  const top = box.querySelector(".gk-rows")?.scrollTop || 0;
  box.textContent = "";
  if (!cuts.length) {
    box.append(node("p", { class: "gk-hint" }, "No cuts yet: they appear here as soon as a row is set to be removed."));
    return;
  }
  const head = node("tr", {}, ...["Cut", "At", "Removed", "Score", "Why", "Hidden by", "Result"].map((t) => node("th", { scope: "col" }, t)));
  box.append(node("div", { class: "gk-rows" }, node("table", {}, node("thead", {}, head), node("tbody", {}, ...cuts.map(line)))));
  box.querySelector(".gk-rows").scrollTop = top;
  if (at) [...box.querySelectorAll("[data-at]")].find((el) => el.dataset.at === at)?.focus({ preventScroll: true });
}

receive();
watch("value", render);
watch("incoming", receive);
