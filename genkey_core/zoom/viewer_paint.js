// How the zoom viewer draws: WebGL2, or 2-D calls where there is none. Pictures are taken once, with all their smaller
// sizes, and then only placed.
//   zoomPainter(canvas, levels, {feather, smooth, kind}) -> {kind, ready(j), pixels(j), take(j, image), draw(list, half), stop()}
// draw: list is [{j, a, b, alpha}], the coarsest first; q -> a q + b is the way from level j into the view, which shows
// `half` half widths of it to each side. kind: "webgl" or "canvas" insists on one; otherwise the faster is taken.
function zoomPainter(canvas, levels, options) {
  "use strict";
  const { feather, smooth, kind } = options;
  const VERTEX = `#version 300 es
    uniform vec4 map; uniform vec3 shape; out vec2 at;
    void main() {
      at = vec2(gl_VertexID & 1, gl_VertexID >> 1) * 2.0 - 1.0;
      vec2 q = at * vec2(1.0, shape.x);
      vec2 p = vec2(map.x * q.x - map.y * q.y, map.x * q.y + map.y * q.x) + map.zw;
      gl_Position = vec4(p / shape.yz * vec2(1.0, -1.0), 0.0, 1.0);
    }`;
  const FRAGMENT = `#version 300 es
    precision highp float;
    uniform sampler2D picture; uniform float alpha, feather; in vec2 at; out vec4 colour;
    void main() {
      vec2 edge = feather > 0.0 ? smoothstep(vec2(0.0), vec2(feather), 1.0 - abs(at)) : vec2(1.0);
      colour = vec4(texture(picture, at * 0.5 + 0.5).rgb, alpha * edge.x * edge.y);
    }`;

  function reduced(image, side) {
    const w = image.naturalWidth || image.width, h = image.naturalHeight || image.height, k = Math.min(1, side / Math.max(w, h));
    const small = document.createElement("canvas");
    small.width = Math.max(1, Math.round(w * k));
    small.height = Math.max(1, Math.round(h * k));
    const context = small.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(image, 0, 0, small.width, small.height);
    return small;
  }

  function byWebGL() {
    const gl = canvas.getContext("webgl2", { alpha: false, antialias: false });
    if (!gl) return null;
    const program = gl.createProgram();
    for (const [type, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(type);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA);
    const at = Object.fromEntries(["map", "shape", "alpha", "feather"].map((name) => [name, gl.getUniformLocation(program, name)]));
    const textures = [], widths = [], most = gl.getParameter(gl.MAX_TEXTURE_SIZE);
    return {
      kind: "webgl",
      ready: (j) => !!textures[j],
      pixels: (j) => widths[j],
      take(j, image) {
        const picture = Math.max(image.naturalWidth, image.naturalHeight) > most ? reduced(image, most) : image;
        textures[j] = gl.createTexture();
        widths[j] = picture.naturalWidth || picture.width;
        gl.bindTexture(gl.TEXTURE_2D, textures[j]);
        gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, picture);
        gl.generateMipmap(gl.TEXTURE_2D);
        gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR_MIPMAP_LINEAR);
        gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
        gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
      },
      draw(list, half) {
        gl.viewport(0, 0, canvas.width, canvas.height);
        gl.clearColor(0, 0, 0, 1);
        gl.clear(gl.COLOR_BUFFER_BIT);
        for (const { j, a, b, alpha } of list) {
          gl.bindTexture(gl.TEXTURE_2D, textures[j]);
          gl.uniform4f(at.map, ...a, ...b);
          gl.uniform3f(at.shape, levels[j].ratio, half, (half * canvas.height) / canvas.width);
          gl.uniform1f(at.alpha, alpha);
          gl.uniform1f(at.feather, j ? feather : 0);
          gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
        }
      },
      stop() { gl.getExtension("WEBGL_lose_context")?.loseContext(); },
    };
  }

  function feathered(picture) {  // its borders made transparent, as the shader does it
    const draw = picture.getContext("2d"), { width: w, height: h } = picture;
    draw.globalCompositeOperation = "destination-in";
    for (const [x, y] of [[w, 0], [0, h]]) {
      const fade = draw.createLinearGradient(0, 0, x, y);
      for (let k = 0; k <= 8; k++) {
        fade.addColorStop((feather / 2) * (k / 8), `rgba(0,0,0,${smooth(0, 1, k / 8)})`);
        fade.addColorStop(1 - (feather / 2) * (k / 8), `rgba(0,0,0,${smooth(0, 1, k / 8)})`);
      }
      draw.fillStyle = fade;
      draw.fillRect(0, 0, w, h);
    }
    return picture;
  }

  function byPlainCalls() {
    const context = canvas.getContext("2d", { alpha: false });
    const pyramids = [];
    return {
      kind: "canvas",
      ready: (j) => !!pyramids[j],
      pixels: (j) => pyramids[j][0].width,
      take(j, image) {
        const steps = [reduced(image, 2048)];
        for (let last = steps[0]; last.width > 64; last = steps[steps.length - 1]) steps.push(reduced(last, Math.max(last.width, last.height) / 2));
        pyramids[j] = j ? steps.map(feathered) : steps;
      },
      draw(list, half) {
        context.setTransform(1, 0, 0, 1, 0, 0);
        context.globalAlpha = 1;
        context.fillStyle = "#000";
        context.fillRect(0, 0, canvas.width, canvas.height);
        const k = canvas.width / (2 * half);
        for (const { j, a, b, alpha } of list) {
          const across = 2 * k * Math.hypot(...a), steps = pyramids[j], { ratio } = levels[j];
          const picture = [...steps].reverse().find((one) => one.width >= across) || steps[0];
          context.globalAlpha = alpha;
          context.setTransform(a[0] * k, a[1] * k, -a[1] * k, a[0] * k, canvas.width / 2 + b[0] * k, canvas.height / 2 + b[1] * k);
          context.drawImage(picture, -1, -ratio, 2, 2 * ratio);
        }
      },
      stop() {},
    };
  }

  return (kind !== "canvas" && byWebGL()) || byPlainCalls();
}
