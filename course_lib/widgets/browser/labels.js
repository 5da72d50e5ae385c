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

const labelled = (text, act, keys) => {
  const node = button(text, act, { ariaLabel: text });
  node.append(element("kbd", {}, keys));
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
  const buttons = CHOICES.map(([choice, text, , keys]) => labelled(text, () => answer(choice), keys));
  const back = labelled("Undo", undo, "U or ↑");
  const bar = element("progress", { ariaLabel: "Answered" });
  const count = element("p", { role: "status" });
  const help = element("p", { className: "sw-help",
    textContent: "Click here once, then answer with the keys." });
  const root = element("div", { className: "sw-ask", tabIndex: 0, role: "group" },
    question, picture,
    element("div", { className: "sw-choices" }, ...buttons, back), bar, count, help);
  keepKeys([root, ...buttons, back]);
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
