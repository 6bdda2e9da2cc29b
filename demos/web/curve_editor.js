// The easing curve of the chosen gap, drawn while it is edited; a Bezier's two handles can be dragged or moved by keys.
// Its value is {easing, frames}. While a handle moves the event "edited" fires, so that the numbers follow.
const SVG = "http://www.w3.org/2000/svg";
const W = 240, H = 160, LOW = -0.25, HIGH = 1.25;
const box = element.querySelector(".gk-curve");

function make(parent, tag, attributes, text) {
  const el = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) el.setAttribute(name, value);
  if (text) el.textContent = text;
  parent.append(el);
  return el;
}

const svg = make(box, "svg", { viewBox: "-34 -48 300 268", role: "group" });
make(svg, "rect", { x: 0, y: 0, width: W, height: H, class: "gk-frame" });
make(svg, "path", { d: [0.25, 0.5, 0.75].map((q) => `M${q * W} 0V${H}M0 ${q * H}H${W}`).join(""), class: "gk-grid" });
const dots = make(svg, "g", {});
const line = make(svg, "path", { class: "gk-line" });
make(svg, "text", { x: W / 2, y: H + 16, "text-anchor": "middle" }, "time");
make(svg, "text", { x: -10, y: H / 2, "text-anchor": "middle", transform: `rotate(-90 -10 ${H / 2})` }, "position");
make(svg, "text", { x: W / 2, y: H + 52, "text-anchor": "middle" }, "spacing (denser is slower)");
const arms = [0, 1].map(() => make(svg, "path", { class: "gk-arm" }));
const knobs = [0, 1].map(knob);

function easing() { return (props.value && props.value.easing) || "linear"; }
function clamp(value, low, high) { return Math.min(high, Math.max(low, value)); }

function draw() {
  const parsed = window.gkEasing.parse(easing());
  const frames = clamp((props.value && props.value.frames) || 24, 2, 60);
  dots.textContent = "";
  for (let i = 0; i <= frames; i++) {
    const u = i / frames, p = clamp(window.gkEasing.at(easing(), u), 0, 1);
    make(dots, "circle", { cx: u * W, cy: H - p * H, r: 2.2, class: "gk-dot" });
    make(dots, "circle", { cx: p * W, cy: H + 32, r: 2.6, class: "gk-spacing" });
  }
  line.setAttribute("d", window.gkEasing.path(easing(), W, H));
  svg.setAttribute("aria-label", `Easing curve, position over time: ${easing()}`);
  const bezier = parsed.kind === "bezier";
  for (const i of [0, 1]) {
    for (const el of [arms[i], knobs[i]]) el.setAttribute("visibility", bezier ? "visible" : "hidden");
    if (!bezier) continue;
    const [x, y] = [clamp(parsed.p[2 * i], 0, 1), clamp(parsed.p[2 * i + 1], LOW, HIGH)];
    arms[i].setAttribute("d", `M${i * W} ${H - i * H}L${x * W} ${H - y * H}`);
    knobs[i].setAttribute("transform", `translate(${x * W} ${H - y * H})`);
    knobs[i].setAttribute("aria-valuenow", x.toFixed(2));
    knobs[i].setAttribute("aria-valuetext", `x ${x.toFixed(2)}, y ${y.toFixed(2)}`);
  }
}

function knob(i) {
  const el = make(svg, "g", {
    class: "gk-knob", tabindex: 0, role: "slider", "aria-label": `Bezier handle ${i + 1}; arrow keys move it`,
    "aria-valuemin": 0, "aria-valuemax": 1,
  });
  make(el, "circle", { r: 18, class: "gk-reach" });
  make(el, "circle", { r: 8 });
  el.addEventListener("pointerdown", (e) => { el.setPointerCapture(e.pointerId); el.focus(); e.preventDefault(); });
  el.addEventListener("pointermove", (e) => {
    if (!el.hasPointerCapture(e.pointerId)) return;
    const point = new DOMPoint(e.clientX, e.clientY).matrixTransform(svg.getScreenCTM().inverse());
    place(i, point.x / W, (H - point.y) / H);
  });
  el.addEventListener("keydown", (e) => {
    const step = { ArrowLeft: [-0.02, 0], ArrowRight: [0.02, 0], ArrowUp: [0, 0.02], ArrowDown: [0, -0.02] }[e.key];
    if (!step) return;
    e.preventDefault();
    const p = window.gkEasing.parse(easing()).p;
    place(i, p[2 * i] + step[0], p[2 * i + 1] + step[1]);
  });
  return el;
}

function place(i, x, y) {
  const p = [...window.gkEasing.parse(easing()).p];
  p[2 * i] = Math.round(clamp(x, 0, 1) * 100) / 100;
  p[2 * i + 1] = Math.round(clamp(y, LOW, HIGH) * 100) / 100;
  props.value = { ...props.value, easing: `cubic-bezier(${p.join(", ")})` };
  draw();
  trigger("edited");
}

draw();
watch("value", draw);
