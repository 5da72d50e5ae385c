// One element of the page, with its properties, or attributes, and what is inside it.

const element = (tag, properties = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
};

// JupyterLab takes arrows and letters for its own shortcuts: "d d" would delete the cell.
const keepKeys = (nodes) => nodes.forEach((node) =>
  node.setAttribute("data-lm-suppress-shortcuts", "true"));

const button = (textContent, onclick, properties = {}) =>
  element("button", { type: "button", textContent, onclick, ...properties });

const group = (ariaLabel, ...children) =>
  element("div", { className: "sw-group", role: "group", ariaLabel }, ...children);
