// Easing curves for drawing: the same definitions as genkey_core/timing.py (CSS Easing Functions Level 1).
window.gkEasing = (() => {
  const NAMED = { "ease-in": [0.42, 0, 1, 1], "ease-out": [0, 0, 0.58, 1], "ease-in-out": [0.42, 0, 0.58, 1] };

  function parse(text) {
    const word = String(text || "linear").trim().toLowerCase();
    if (NAMED[word]) return { kind: "bezier", p: NAMED[word] };
    if (word === "hold") return { kind: "steps", n: 1 };
    const call = word.match(/^(cubic-bezier|steps)\(([^()]*)\)$/);
    if (call) {
      const numbers = call[2].split(",").map(Number);
      if (call[1] === "steps" && numbers[0] >= 1) return { kind: "steps", n: Math.min(1000, Math.round(numbers[0])) };
      if (call[1] === "cubic-bezier" && numbers.length === 4 && numbers.every(Number.isFinite)) return { kind: "bezier", p: numbers };
    }
    return { kind: "linear" };
  }

  // An SVG path through the curve in a box of width w and height h, y upwards.
  function path(text, w, h) {
    const e = parse(text);
    if (e.kind === "bezier") {
      const [a, b, c, d] = e.p;
      return `M0 ${h}C${a * w} ${h - b * h} ${c * w} ${h - d * h} ${w} 0`;
    }
    if (e.kind === "steps") {
      let d = `M0 ${h}`;
      for (let i = 1; i <= e.n; i++) d += `H${(i / e.n) * w}V${h - (i / e.n) * h}`;
      return d;
    }
    return `M0 ${h}L${w} 0`;
  }

  const bernstein = (t, a, b) => 3 * (1 - t) ** 2 * t * a + 3 * (1 - t) * t * t * b + t ** 3;

  // The position at time u in [0, 1].
  function at(text, u) {
    const e = parse(text);
    if (e.kind === "linear" || u <= 0 || u >= 1) return u;
    if (e.kind === "steps") return Math.floor(u * e.n + 1e-12) / e.n;
    let low = 0, high = 1;
    for (let i = 0; i < 40; i++) {
      const middle = (low + high) / 2;
      if (bernstein(middle, e.p[0], e.p[2]) < u) low = middle; else high = middle;
    }
    return bernstein((low + high) / 2, e.p[1], e.p[3]);
  }

  return { parse, path, at };
})();
