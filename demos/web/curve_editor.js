// The easing curve of the chosen gap, drawn while it is edited; a Bezier's two handles can be dragged or moved by keys.
// Its value is {easing, frames}. While a handle moves the event "edited" fires, so that the numbers follow.
const SVG = "http://www.w3.org/2000/svg";
const W = 240, H = 160;
const box = element.querySelector(".gk-curve");
let grabbed = null;

function make(tag, attributes) {
  const el = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) el.setAttribute(name, value);
  return el;
}

const svg = make("svg", { viewBox: "-34 -44 300 264", role: "img", "aria-label": "Easing curve: position over time" });
box.append(svg);

function label(x, y, text, anchor) {
  const el = make("text", { x, y, "text-anchor": anchor || "middle" });
  el.textContent = text;
  return el;
}

function easing() { return (props.value && props.value.easing) || "linear"; }

function draw() {
  svg.textContent = "";
  svg.append(make("rect", { x: 0, y: 0, width: W, height: H, class: "gk-frame" }));
  for (const q of [0.25, 0.5, 0.75]) {
    svg.append(make("path", { d: `M${q * W} 0V${H}M0 ${q * H}H${W}`, class: "gk-grid" }));
  }
  const parsed = window.gkEasing.parse(easing());
  const frames = Math.max(2, Math.min(60, (props.value && props.value.frames) || 24));
  for (let i = 0; i <= frames; i++) {
    const u = i / frames, p = Math.min(1, Math.max(0, window.gkEasing.at(easing(), u)));
    svg.append(make("circle", { cx: u * W, cy: H - p * H, r: 2.2, class: "gk-dot" }));
    svg.append(make("circle", { cx: p * W, cy: H + 32, r: 2.6, class: "gk-spacing" }));
  }
  svg.append(make("path", { d: window.gkEasing.path(easing(), W, H), class: "gk-line" }));
  svg.append(label(W / 2, H + 16, "time"), label(-10, H / 2, "position", "middle"), label(W / 2, H + 52, "spacing (denser is slower)"));
  svg.lastChild.previousSibling.setAttribute("transform", `rotate(-90 -10 ${H / 2})`);
  if (parsed.kind === "bezier") handles(parsed.p);
}

function handles([x1, y1, x2, y2]) {
  [[x1, y1, 0, 0], [x2, y2, 1, 1]].forEach(([x, y, ax, ay], i) => {
    svg.append(make("path", { d: `M${ax * W} ${H - ay * H}L${x * W} ${H - y * H}`, class: "gk-arm" }));
    const knob = make("circle", {
      cx: x * W, cy: H - y * H, r: 8, class: "gk-knob", tabindex: 0, role: "slider",
      "aria-label": `Bezier handle ${i + 1}`, "aria-valuetext": `${x.toFixed(2)}, ${y.toFixed(2)}`,
    });
    knob.addEventListener("pointerdown", (e) => { grabbed = i; e.preventDefault(); });
    knob.addEventListener("keydown", (e) => {
      const step = { ArrowLeft: [-0.02, 0], ArrowRight: [0.02, 0], ArrowUp: [0, 0.02], ArrowDown: [0, -0.02] }[e.key];
      if (!step) return;
      e.preventDefault();
      place(i, x + step[0], y + step[1]);
      svg.querySelectorAll(".gk-knob")[i].focus();
    });
    svg.append(knob);
  });
}

function place(i, x, y) {
  const p = [...window.gkEasing.parse(easing()).p];
  p[2 * i] = Math.round(Math.min(1, Math.max(0, x)) * 100) / 100;
  p[2 * i + 1] = Math.round(Math.min(1.25, Math.max(-0.25, y)) * 100) / 100;
  props.value = { ...props.value, easing: `cubic-bezier(${p.join(", ")})` };
  draw();
  trigger("edited");
}

window.addEventListener("pointermove", (e) => {
  if (grabbed === null) return;
  const inverse = svg.getScreenCTM().inverse();
  const point = new DOMPoint(e.clientX, e.clientY).matrixTransform(inverse);
  place(grabbed, point.x / W, (H - point.y) / H);
});
window.addEventListener("pointerup", () => { grabbed = null; });

draw();
watch("value", draw);
