// The browser's half of labels.py: one picture after the other, a question, and its answers.
//
// All pictures come at once, so the next one shows at the press of a key even while the kernel
// computes. Python hears of the list of answers (`answers`), one value.

const CHOICES = [
  ["yes", "Yes", ["y", "arrowright"], "Y or →"],
  ["no", "No", ["n", "arrowleft"], "N or ←"],
  ["skip", "Skip", ["s", "arrowdown"], "S or ↓"],
];
const UNDO = ["u", "z", "arrowup", "backspace"];

const STYLE = `
.sw-ask { font-family: var(--jp-ui-font-family, sans-serif); font-size: 14px; line-height: 1.35;
  color: var(--jp-ui-font-color1, #1a1a1a); width: 300px; max-width: 100%; padding: 6px;
  box-sizing: border-box; }
.sw-ask:focus-visible, .sw-ask :focus-visible { outline: 3px solid #E69F00; outline-offset: -3px; }
.sw-ask p { margin: 0 0 6px; }
.sw-ask .sw-question { font-size: 16px; font-weight: 600; }
.sw-ask img { display: block; width: 256px; height: 256px; image-rendering: pixelated;
  background: var(--jp-layout-color2, #eee); }
.sw-ask .sw-choices { display: flex; flex-wrap: wrap; gap: 6px; margin: 8px 0; }
.sw-ask button { font: inherit; color: inherit; min-height: 32px; padding: 3px 10px; cursor: pointer;
  border: 1px solid var(--jp-border-color0, #8a8a8a); border-radius: 4px;
  background: var(--jp-layout-color1, #fff); }
.sw-ask button:hover:enabled { background: var(--jp-layout-color2, #eee); }
.sw-ask button:disabled { opacity: 0.45; cursor: default; }
.sw-ask kbd { font: inherit; font-size: 11px; opacity: 0.75; margin-left: 4px; }
.sw-ask progress { width: 256px; height: 8px; accent-color: #0072B2; }
.sw-ask .sw-help { font-size: 12px; }
`;

const element = (tag, properties = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
};

function render({ model, el }) {
  const answers = () => model.get("answers");
  const tell = (list) => { model.set("answers", list); model.save_changes(); show(); };
  const answer = (choice) => {
    if (answers().length < model.get("pictures").length) tell([...answers(), choice]);
  };
  const undo = () => { if (answers().length) tell(answers().slice(0, -1)); };

  const question = element("p", { className: "sw-question" });
  const picture = element("img", { alt: "" });
  const buttons = CHOICES.map(([choice, text, , keys]) => element("button",
    { type: "button", onclick: () => answer(choice), ariaLabel: text }, text, element("kbd", {}, keys)));
  const back = element("button", { type: "button", onclick: undo, ariaLabel: "Undo" }, "Undo",
    element("kbd", {}, "U or ↑"));
  const bar = element("progress", { ariaLabel: "Answered" });
  const count = element("p", { role: "status" });
  const help = element("p", { className: "sw-help",
    textContent: "Click here once, then answer with the keys." });
  const root = element("div", { className: "sw-ask", tabIndex: 0, role: "group" },
    element("style", { textContent: STYLE }), question, picture,
    element("div", { className: "sw-choices" }, ...buttons, back), bar, count, help);
  for (const node of [root, ...buttons, back]) {
    node.setAttribute("data-lm-suppress-shortcuts", "true"); // else "d d" deletes the cell
  }
  let address = null;

  function show() {
    const pictures = model.get("pictures"), done = answers();
    const index = done.length, over = index >= pictures.length;
    const said = Object.fromEntries(CHOICES.map(([choice]) =>
      [choice, done.filter((one) => one === choice).length]));
    question.textContent = over ? "All answered. Thank you!" : model.get("question");
    root.setAttribute("aria-label", model.get("question"));
    picture.style.opacity = over ? 0.35 : 1;
    if (!over) {
      if (address) URL.revokeObjectURL(address);
      address = URL.createObjectURL(new Blob([pictures[index]], { type: "image/png" }));
      picture.src = address;
      picture.alt = `sample ${index + 1} of ${pictures.length}`;
    }
    buttons.forEach((button) => { button.disabled = over; });
    back.disabled = index === 0;
    bar.max = pictures.length;
    bar.value = index;
    count.textContent = `${index} of ${pictures.length}: ${said.yes} yes, ${said.no} no, `
      + `${said.skip} skipped`;
    root.dataset.answered = index;
  }

  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.toLowerCase();
    const chosen = CHOICES.find(([, , keys]) => keys.includes(key));
    if (!chosen && !UNDO.includes(key)) return;
    event.preventDefault();
    event.stopPropagation();
    if (chosen) answer(chosen[0]);
    else undo();
  });
  root.addEventListener("click", (event) => {
    if (event.target.closest("button")?.disabled !== false) root.focus({ preventScroll: true });
  });

  const watched = ["change:answers", "change:pictures", "change:question"];
  watched.forEach((name) => model.on(name, show));
  show();
  el.append(root);
  return () => {
    watched.forEach((name) => model.off(name, show));
    if (address) URL.revokeObjectURL(address);
  };
}

export default { render };
