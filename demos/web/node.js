// What all components of the page build their elements with: attributes by name, listeners by "on" and the event's name.
window.gkNode = function node(tag, attributes, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) el.setAttribute(name, value === true ? "" : value);
  }
  el.append(...children);
  return el;
};
