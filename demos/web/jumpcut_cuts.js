// The cuts that the rows make: what triage says of each, and how each is to be hidden. It alone owns its value
//   {choices: [{last, first, mode, engine, neighbourhood, n_inserted}], picked: [last, first] of the cut to compare}
// (by source frames, so that a choice survives when other rows change; what is missing is as set for all). The server says what the cuts are by the property
// `incoming` = {serial, fresh, cuts: [{last, first, at_s, removed_s, score, reason, recommended, done,
// mode, neighbourhood, n_inserted}], modes, engines}.
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
  return found.length ? found[found.length - 1] : {};
}

function choose(cut, change) {
  const others = state().choices.filter((c) => !(c.last < cut.first && cut.last < c.first));
  const { mode, engine, neighbourhood, n_inserted } = { ...chosen(cut), ...change };
  const mine = Object.fromEntries(Object.entries({ mode, engine, neighbourhood, n_inserted }).filter(([, v]) => v || v === 0));
  const kept = Object.keys(mine).length ? [...others, { last: cut.last, first: cut.first, ...mine }] : others;
  props.value = { ...state(), choices: kept };
}

const node = window.gkNode;

function line(cut, i) {
  const modes = (props.incoming || {}).modes || [];
  const judged = cut.score !== null && cut.score !== undefined;
  const mine = chosen(cut);
  const options = (all, known, own) => [["", all], ...known].map(([value, label]) => node("option", { value, selected: (own || "") === value }, label));
  const select = node("select", { "aria-label": `How cut ${i + 1} is hidden`, "data-at": `mode ${i}`, onchange: (e) => choose(cut, { mode: e.target.value }) },
    ...options("as set for all", modes, mine.mode));
  const more = cut.mode === "hard cut" || cut.mode === "punch-in" ? [] : [makers(cut, i, options, mine), frames(cut, i, mine)];
  return node("tr", {},
    node("td", { class: "gk-short" }, String(i + 1)),
    node("td", { class: "gk-short" }, `${cut.at_s.toFixed(2)} s`),
    node("td", { class: "gk-short" }, `${cut.removed_s.toFixed(2)} s`),
    node("td", { class: "gk-short" }, judged ? node("span", { class: "gk-score", style: `--score: ${cut.score}` }, `${Math.round(100 * cut.score)} %`) : "–"),
    node("td", {}, judged ? `${cut.reason} ` : "not looked at yet ", judged ? node("b", {}, `→ ${cut.recommended}`) : ""),
    node("td", { class: "gk-by" }, select, ...more),
    node("td", {}, cut.done ? node("button", { type: "button", "data-at": `compare ${i}`, onclick: () => { props.value = { ...state(), picked: [cut.last, cut.first] }; trigger("picked"); } }, `${cut.done}: compare`) : ""),
  );
}

function makers(cut, i, options, mine) {
  return node("select", { "aria-label": `Who makes the frames of cut ${i + 1}`, "data-at": `engine ${i}`, onchange: (e) => choose(cut, { engine: e.target.value }) },
    ...options("engine for all", (props.incoming || {}).engines || [], mine.engine));
}

function frames(cut, i, mine) {
  const field = cut.mode === "inserted" ? "n_inserted" : "neighbourhood";
  const label = field === "n_inserted" ? `New frames at cut ${i + 1}` : `Frames remade on each side of cut ${i + 1}`;
  return node("input", {
    type: "number", min: 1, max: field === "n_inserted" ? 60 : 30, step: 1, "aria-label": label, title: label, "data-at": `frames ${i}`,
    placeholder: field === "n_inserted" ? `${cut[field]} new` : `${cut[field]} a side`, value: mine[field] === undefined ? "" : mine[field],
    onchange: (e) => choose(cut, { [field]: e.target.value === "" ? "" : Math.round(Number(e.target.value)) }),
  });
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
  const head = node("tr", {}, ...["Cut", "At (result)", "Removed", "Score", "Why", "Hidden by", "Result"].map((t) => node("th", { scope: "col" }, t)));
  box.append(node("div", { class: "gk-rows" }, node("table", {}, node("thead", {}, head), node("tbody", {}, ...cuts.map(line)))));
  box.querySelector(".gk-rows").scrollTop = top;
  if (at) [...box.querySelectorAll("[data-at]")].find((el) => el.dataset.at === at)?.focus({ preventScroll: true });
}

receive();
watch("value", render);
watch("incoming", receive);
