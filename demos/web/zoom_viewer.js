// The zoom viewer in the page: shows the stack that comes as the property `stack` (see viewer.js, which stands above).
const host = element.querySelector(".gk-zoom");
let viewer = null;

function receive() {
  if (viewer) viewer.stop();
  viewer = null;
  const stack = props.stack;
  host.replaceChildren();
  if (!stack || !stack.levels) return;
  const root = (window.gradio_config?.root || "").replace(/\/$/, "");
  const levels = stack.levels.map((level) => ({ ...level, src: root + level.src }));
  viewer = zoomViewer(host, { ...stack, levels });
}

receive();
watch("stack", receive);
