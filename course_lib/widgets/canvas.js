// The browser's half of canvas.py: shows a picture and lets a person draw on it.
//
// Ink is drawn here, so it shows at once even while the kernel computes. Python hears of the
// marks (`_marks`, one value) when a stroke ends, and as often as it can follow while a point
// or a region is dragged: ipywidgets holds back all but the newest value until the kernel is idle.
//
// Places are [x, y] in pixels of the picture, [0, 0] being the centre of the top left pixel.

const PART = 2 ** 21; // bytes a message: servers close connections over larger ones
const MOST = 2 ** 26; // bytes of a photo
const BRUSHES = { color: "Colour", sketch: "Sketch", hold: "Hold still", warp: "Warp", drag: "Drag" };
const REACH = 18; // how near to a point a pointer takes hold of it, in screen pixels

const HELP = {
  look: "",
  brush: "Draw with mouse, pen or finger. Keys: arrows move the brush (Shift: further), "
    + "Space puts it down or lifts it.",
  lasso: "Draw around a region. Keys: arrows move the cross (Shift: further), Space sets a corner, "
    + "Enter closes the outline.",
  points: "Click to set a handle, drag it to move the picture. Keys: arrows move the handle "
    + "(Shift: further), N and P choose another, Enter sets one at the cross, Delete removes it.",
  move: "Drag the outlined region. Keys: arrows move it (Shift: further).",
  pick: "Click a picture to choose it. Keys: arrows.",
};
const HINTS = {
  color: "This colour shall be here. ",
  sketch: "An edge shall run here. ",
  hold: "What is here shall stay, whatever is dragged. ",
  warp: "What is around the start shall look as if it had been carried to the end. ",
  drag: "What is at the start shall go to the end. ",
};

const STYLE = `
.sw { font-family: var(--jp-ui-font-family, sans-serif); font-size: 13px; line-height: 1.35;
  color: var(--jp-ui-font-color1, #1a1a1a); max-width: 100%; }
.sw-head { display: flex; justify-content: space-between; align-items: center; gap: 12px; }
.sw-title { font-weight: 600; margin: 0; }
.sw-head .sw-group { flex: none; }
.sw-bar { display: flex; flex-wrap: wrap; gap: 4px 12px; margin: 4px 0; align-items: center; }
.sw-bar:empty { display: none; }
.sw-group { display: flex; flex-wrap: wrap; gap: 4px; align-items: center; }
.sw button, .sw .sw-field { font: inherit; color: inherit; min-height: 28px; padding: 2px 9px;
  border: 1px solid var(--jp-border-color0, #8a8a8a); border-radius: 4px; box-sizing: border-box;
  background: var(--jp-layout-color1, #fff); cursor: pointer; }
.sw .sw-field { display: inline-flex; gap: 6px; align-items: center; cursor: default; }
.sw .sw-field input[type=range] { width: 76px; }
.sw button:hover:enabled:not([aria-pressed=true], [aria-checked=true]) { background: var(--jp-layout-color2, #eee); }
.sw button:disabled { opacity: 0.45; cursor: default; }
.sw button[aria-pressed=true], .sw button[aria-checked=true] {
  background: #0072B2; border-color: #0072B2; color: #fff; }
.sw button.sw-ink { width: 24px; min-height: 24px; padding: 0; border-radius: 50%; }
.sw button.sw-ink[aria-checked=true] { border-color: var(--jp-layout-color1, #fff);
  outline: 3px solid #0072B2; }
.sw :focus-visible { outline: 3px solid #E69F00; outline-offset: 2px; }
.sw .sw-stage:focus-visible { outline-offset: -3px; }
.sw-window { overflow: auto; max-width: 100%; max-height: 620px; margin-top: 4px; }
.sw-stage { position: relative; touch-action: none; user-select: none; line-height: 0;
  background: var(--jp-layout-color2, #eee); }
.sw-stage canvas { position: absolute; inset: 0; width: 100%; height: 100%; }
.sw-stage[data-mode=brush], .sw-stage[data-mode=lasso] { cursor: crosshair; }
.sw-stage[data-mode=points] { cursor: pointer; }
.sw-stage[data-mode=pick] { cursor: pointer; }
.sw-stage[data-mode=move] { cursor: grab; }
.sw-stage.sw-before::after { content: "before"; position: absolute; left: 6px; top: 6px;
  padding: 3px 8px; line-height: 1.3; border-radius: 3px; background: #000c; color: #fff; }
.sw-help { margin: 5px 0 0; font-size: 12px; }
.sw-note { margin: 5px 0 0; min-height: 1.35em; font-variant-numeric: tabular-nums; }
.sw-error { margin: 5px 0 0; padding: 5px 9px; border-left: 4px solid #D55E00;
  background: var(--jp-layout-color2, #f3f3f3); font-weight: 600; }
.sw-note:empty, .sw-error:empty { display: none; }
.sw-spoken { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
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

const copy = (marks) => JSON.parse(JSON.stringify(marks));
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const tenth = (value) => Math.round(value * 10) / 10;
const round = ([x, y]) => [tenth(x), tenth(y)];
const words = ([x, y]) => `x ${Math.round(x)}, y ${Math.round(y)}`;

class View {
  constructor(model, el) {
    this.model = model;
    this.marks = copy(model.get("_marks"));
    this.past = [];
    this.future = [];
    this.stroke = null; // what the pointer or the keyboard is drawing now
    this.pointer = null; // the one pointer that draws; others are ignored meanwhile
    this.held = null; // index of the point, or where the region was taken
    this.chosen = 0; // the point that the keyboard moves
    this.zoom = 1;
    [this.size, this.largest] = model.get("brush_size");
    this.brush = model.get("brushes")[0]; // in mode "brushes"
    this.color = model.get("inks")[0][0];
    this.erases = false;
    this.keyed = false; // show the cross only to those who use keys
    this.painted = 0;
    this.build(el);
    this.listen();
    this.showPicture();
    this.showTexts();
  }

  // ---- what is on the page

  build(el) {
    const mode = this.model.get("mode");
    this.ground = element("canvas", { role: "img", ariaLabel: this.model.get("alt") });
    this.over = element("canvas", { ariaHidden: "true" });
    this.ink = document.createElement("canvas"); // strokes, at the picture's own size
    this.stage = element("div", { className: "sw-stage" }, this.ground, this.over);
    this.help = element("p", { className: "sw-help" });
    this.showHand();
    if (mode !== "look") {
      this.help.id = `sw-help-${Math.random().toString(36).slice(2)}`;
      this.stage.tabIndex = 0;
      this.stage.setAttribute("role", "application");
      this.stage.setAttribute("aria-label", `${this.model.get("title")}: ${mode} on a picture`);
      this.stage.setAttribute("aria-describedby", this.help.id);
    }
    this.window = element("div", { className: "sw-window" }, this.stage);
    this.note = element("p", { className: "sw-note", role: "status" });
    this.error = element("p", { className: "sw-error", role: "alert" });
    this.spoken = element("div", { className: "sw-spoken", ariaLive: "polite" });
    this.root = element("div", { className: "sw" },
      element("style", { textContent: STYLE }),
      element("div", { className: "sw-head" },
        element("p", { className: "sw-title", textContent: this.model.get("title") }),
        this.zoomControls()),
      this.toolbar(mode), this.window, this.help, this.note, this.error, this.actions(),
      this.spoken);
    // JupyterLab would take arrows and letters for its own shortcuts: "d d" deletes the cell.
    for (const node of this.root.querySelectorAll("button, input, [tabindex]")) {
      node.setAttribute("data-lm-suppress-shortcuts", "true");
    }
    el.append(this.root);
  }

  hand() { // what a pointer does: as the mode says, or the chosen brush
    const mode = this.model.get("mode");
    if (mode !== "brushes") return mode;
    return !this.erases && ["warp", "drag"].includes(this.brush) ? "points" : "brush";
  }

  showHand() {
    const hand = this.hand();
    const hint = this.model.get("mode") === "brushes" && !this.erases ? HINTS[this.brush] : "";
    this.stage.dataset.mode = hand;
    this.help.textContent = this.model.get("hint") || hint + HELP[hand];
  }

  button(text, act, properties = {}) {
    return element("button", { type: "button", textContent: text, onclick: act, ...properties });
  }

  group(label, ...children) {
    return element("div", { className: "sw-group", role: "group", ariaLabel: label }, ...children);
  }

  toolbar(mode) {
    const bar = element("div", { className: "sw-bar" });
    if (mode === "brush" || mode === "brushes") bar.append(...this.brushControls());
    if (mode !== "look" && mode !== "pick") {
      this.undoButton = this.button("Undo", () => this.undo());
      this.redoButton = this.button("Redo", () => this.redo());
      const group = this.group("History", this.undoButton, this.redoButton);
      if (mode === "points") group.append(this.button("Remove handle", () => this.remove()));
      if (mode !== "move") group.append(this.button("Clear", () => this.clear()));
      bar.append(group);
    }
    return bar;
  }

  zoomControls() {
    return this.group("Zoom",
      this.button("−", () => this.setZoom(this.zoom / 1.25), { ariaLabel: "Zoom out" }),
      this.button("+", () => this.setZoom(this.zoom * 1.25), { ariaLabel: "Zoom in" }),
      this.button("Fit", () => this.setZoom(1), { ariaLabel: "Zoom to fit" }));
  }

  brushControls() {
    const brushes = this.model.get("brushes"); // none in mode "brush", which has one
    const kinds = brushes.length ? brushes.map((kind) => [BRUSHES[kind], false, kind])
      : [["Brush", false, undefined]];
    const pens = [...kinds, ["Eraser", true]].map(([text, erases, kind]) =>
      this.button(text, () => {
        this.erases = erases;
        if (!erases) this.brush = kind;
        refresh();
      }));
    const inks = this.model.get("inks").map(([color, name]) => this.button("", () => pick(color), {
      className: "sw-ink", ariaLabel: name, title: name, value: color,
      style: `background: ${color}`, role: "radio",
    }));
    const other = element("input", { type: "color", value: this.color,
      oninput: () => pick(other.value) });
    const size = element("input", { type: "range", min: 1, max: this.largest, value: this.size,
      oninput: () => { this.size = Number(size.value); this.draw(); } });
    const pick = (color) => {
      Object.assign(this, { color, erases: false, brush: brushes[0] });
      refresh();
    };
    const refresh = () => {
      pens.forEach((pen, i) => pen.setAttribute("aria-pressed", this.erases
        ? i === kinds.length : i < kinds.length && kinds[i][2] === this.brush));
      this.lift();
      this.showHand();
      inks.forEach((ink) => ink.setAttribute("aria-checked",
        !this.erases && this.color === ink.value));
      this.draw();
    };
    queueMicrotask(refresh);
    return [
      this.group("Pen", ...pens),
      element("label", { className: "sw-field" }, "Size", size),
      element("div", { className: "sw-group", role: "radiogroup", ariaLabel: "Colour" }, ...inks),
      element("label", { className: "sw-field" }, "Other", other),
    ];
  }

  actions() {
    const offered = this.model.get("actions");
    const bar = element("div", { className: "sw-bar" });
    if (offered.includes("before")) {
      this.beforeButton = this.button("Before / after", () => {
        this.model.set("shows_before", !this.model.get("shows_before"));
        this.model.save_changes();
      });
      bar.append(this.beforeButton);
    }
    if (offered.includes("reset")) {
      bar.append(this.button("Reset", () => this.model.send({ kind: "reset" })));
    }
    if (offered.includes("save")) {
      bar.append(this.button("Save image", () => this.model.send({ kind: "save" })));
    }
    if (offered.includes("photo")) {
      const file = element("input", { type: "file", accept: "image/*", hidden: true,
        onchange: () => { this.upload(file.files[0]); file.value = ""; } });
      const text = this.model.get("photo_label");
      bar.append(this.button(text, () => file.click()), file);
    }
    return bar;
  }

  listen() {
    const on = (names, act) => {
      const bound = () => act.call(this);
      this.model.on(names, bound);
      return () => this.model.off(names, bound);
    };
    const message = (content, buffers) => this.receive(content, buffers);
    this.model.on("msg:custom", message);
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(this.root);
    this.leave = [
      on("change:_picture", this.showPicture), on("change:_before", this.showPicture),
      on("change:shows_before", this.showPicture),
      on("change:note", this.showTexts), on("change:error", this.showTexts),
      on("change:_marks", this.takeMarks), on("change:outline", this.draw),
      on("change:picked", this.draw), on("change:choices", this.draw),
      () => this.model.off("msg:custom", message), () => this.watcher.disconnect(),
    ];
    const stage = this.stage;
    stage.addEventListener("pointerdown", (event) => this.press(event));
    stage.addEventListener("pointermove", (event) => this.drag(event));
    stage.addEventListener("pointerup", (event) => this.release(event));
    stage.addEventListener("pointercancel", (event) => this.cancel(event));
    stage.addEventListener("keydown", (event) => this.key(event));
    stage.addEventListener("blur", () => { this.lift(); this.keyed = false; this.draw(); });
  }

  stop() { for (const act of this.leave) act(); }

  // ---- the picture and the texts

  async showPicture() {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const before = this.model.get("shows_before");
    this.beforeButton?.setAttribute("aria-pressed", before);
    const bytes = this.model.get(before ? "_before" : "_picture");
    if (!bytes?.byteLength) return;
    const bitmap = await createImageBitmap(new Blob([bytes]));
    if (turn !== this.turn) return; // a newer one came meanwhile
    const { width, height } = bitmap;
    const grown = width !== this.ground.width || height !== this.ground.height;
    if (grown) {
      [this.ground, this.ink].forEach((canvas) => Object.assign(canvas, { width, height }));
      this.resize();
    }
    this.ground.getContext("2d").drawImage(bitmap, 0, 0);
    this.stage.classList.toggle("sw-before", before);
    this.draw();
    requestAnimationFrame(() => { this.root.dataset.painted = this.painted += 1; });
  }

  showTexts() {
    this.note.textContent = this.model.get("note");
    this.error.textContent = this.model.get("error");
  }

  setZoom(zoom) {
    this.zoom = Math.min(8, Math.max(0.25, zoom));
    this.resize();
  }

  resize() {
    const { width, height } = this.ground;
    const room = Math.min(this.root.clientWidth, this.model.get("max_width"),
      (this.model.get("max_height") * width) / height);
    const wide = Math.max(16, Math.floor(room * this.zoom));
    this.stage.style.width = `${wide}px`;
    this.stage.style.height = `${Math.round((wide * height) / width)}px`;
    const dots = window.devicePixelRatio || 1;
    this.over.width = Math.round(wide * dots);
    this.over.height = Math.round((this.over.width * height) / width);
    this.draw();
  }

  say(sentence) { this.spoken.textContent = sentence; }

  // ---- marks, their history, and their way to Python

  send() {
    this.model.set("_marks", copy(this.marks));
    this.model.save_changes();
  }

  remember(before = this.marks) {
    this.past.push(copy(before));
    this.future = [];
  }

  takeMarks() { // from Python, or from another view of the same canvas
    const theirs = this.model.get("_marks");
    if (same(theirs, this.marks)) return;
    if (this.held !== null && theirs.pairs.length === this.marks.pairs.length) {
      // Python found out where a new handle belongs; the end in the hand stays in the hand.
      this.marks.pairs = theirs.pairs.map((pair, i) => i === this.held
        ? { ...pair, end: this.marks.pairs[i].end } : pair);
    } else if (this.held === null && this.stroke === null) {
      const only = theirs.pairs.length === this.marks.pairs.length
        && this.marks.pairs.some((pair) => pair.fresh);
      if (!only) this.remember();
      this.marks = copy(theirs);
    }
    this.refresh();
  }

  undo() { this.travel(this.past, this.future, "Undone"); }

  redo() { this.travel(this.future, this.past, "Redone"); }

  travel(from, to, sentence) {
    this.lift();
    if (!from.length) return;
    to.push(copy(this.marks));
    this.marks = from.pop();
    this.say(sentence);
    this.refresh();
    this.send();
  }

  clear() {
    this.lift();
    this.remember();
    this.marks = { ...this.marks, strokes: [], lasso: [], pairs: [] };
    this.say("Cleared");
    this.refresh();
    this.send();
  }

  remove() {
    if (!this.marks.pairs[this.chosen]) return;
    this.remember();
    this.marks.pairs.splice(this.chosen, 1);
    this.choose(Math.max(0, this.chosen - 1));
    this.refresh();
    this.send();
  }

  refresh() {
    if (this.undoButton) {
      this.undoButton.disabled = !this.past.length;
      this.redoButton.disabled = !this.future.length;
    }
    this.draw();
  }

  // ---- mouse, pen and finger

  place(event) {
    const box = this.over.getBoundingClientRect();
    const { width, height } = this.ground;
    return [((event.clientX - box.left) / box.width) * width - 0.5,
      ((event.clientY - box.top) / box.height) * height - 0.5];
  }

  inside([x, y]) {
    return [Math.min(this.ground.width - 1, Math.max(0, x)),
      Math.min(this.ground.height - 1, Math.max(0, y))];
  }

  press(event) {
    const mode = this.hand();
    if (mode === "look" || this.pointer !== null || event.button !== 0) return;
    event.preventDefault();
    this.stage.focus({ preventScroll: true });
    if (mode === "pick") return void this.pick(this.cellAt(this.place(event)));
    this.lift();
    this.keyed = false;
    this.pointer = event.pointerId;
    try { this.stage.setPointerCapture(event.pointerId); } catch { /* gone already */ }
    this.start = copy(this.marks);
    const at = this.place(event);
    if (mode === "brush" || mode === "lasso") this.begin(at);
    if (mode === "move") this.held = at;
    if (mode === "points") this.grasp(at);
    this.draw();
  }

  drag(event) {
    if (event.pointerId !== this.pointer) return;
    if (event.buttons === 0) return void this.release(event); // let go outside the window
    const events = event.getCoalescedEvents?.() ?? [];
    if (this.stroke) {
      for (const part of events.length ? events : [event]) this.extend(this.place(part));
    } else {
      this.carry(this.place(event));
      this.send();
    }
    this.draw();
  }

  release(event) {
    if (event.pointerId !== this.pointer) return;
    this.pointer = null;
    if (this.stroke) this.finish();
    else {
      this.carry(this.place(event));
      this.held = null;
      if (!same(this.start, this.marks)) {
        this.remember(this.start);
        this.send();
      }
    }
    this.refresh();
  }

  cancel(event) { // the system took the pointer away, for instance for a gesture of its own
    if (event.pointerId !== this.pointer) return;
    this.pointer = this.held = this.stroke = null;
    const changed = !same(this.start, this.marks);
    this.marks = this.start;
    if (changed) this.send();
    this.refresh();
  }

  // ---- strokes and outlines

  begin(at) {
    const lasso = this.model.get("mode") === "lasso";
    this.stroke = lasso ? [round(at)] : { points: [round(at)], color: this.color,
      width: this.size, erases: this.erases, kind: this.brush ?? "color" };
  }

  extend(at) {
    const points = this.stroke.points ?? this.stroke;
    const next = round(at);
    if (!same(points.at(-1), next)) points.push(next);
  }

  finish() {
    const stroke = this.stroke;
    this.stroke = null;
    if (stroke.points) {
      this.remember();
      this.marks.strokes.push(stroke);
      if (stroke.erases) this.wipe(stroke);
    } else if (stroke.length > 2) {
      this.remember();
      this.marks.lasso = stroke.map((at) => round(this.inside(at)));
    } else return; // a click is no outline
    this.refresh();
    this.send();
  }

  wipe({ points, width }) { // handles under the eraser go as well
    const near = (place) => points.some(([x, y]) =>
      Math.hypot(x - place[0], y - place[1]) <= width / 2 + 1);
    this.marks.pairs = this.marks.pairs.filter(({ start, end }) => !near(start) && !near(end));
    this.chosen = 0;
  }

  lift() { // end what the keyboard was drawing
    if (this.stroke && this.pointer === null) {
      if (this.stroke.points) this.finish();
      else this.stroke = null;
    }
  }

  // ---- points and the region

  grasp(at) {
    const scale = this.over.getBoundingClientRect().width / this.ground.width;
    const far = this.marks.pairs.map(({ end }) =>
      Math.hypot(end[0] - at[0], end[1] - at[1]) * scale);
    const nearest = far.indexOf(Math.min(...far));
    if (nearest >= 0 && far[nearest] <= REACH) this.held = nearest;
    else this.held = this.add(at);
    this.choose(this.held);
  }

  add(at) {
    const place = round(this.inside(at));
    const painted = this.model.get("mode") === "brushes";
    this.marks.pairs.push({ start: place, end: place, fresh: !painted,
      kind: painted ? this.brush : "drag", width: this.size });
    this.send();
    return this.marks.pairs.length - 1;
  }

  carry(at) {
    if (this.held === null) return;
    if (this.hand() === "points") {
      this.marks.pairs[this.held].end = round(this.inside(at));
    } else {
      const [x, y] = this.start.offset;
      this.marks.offset = [Math.round(x + at[0] - this.held[0]),
        Math.round(y + at[1] - this.held[1])];
    }
  }

  choose(index) {
    this.chosen = index;
    const pair = this.marks.pairs[index];
    if (pair) this.say(`Handle ${index + 1} of ${this.marks.pairs.length}, at ${words(pair.end)}`);
    this.draw();
  }

  // ---- the keyboard

  key(event) {
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const command = event.ctrlKey || event.metaKey;
    const mode = this.hand();
    const name = event.key.toLowerCase();
    const act = command
      ? { z: () => (event.shiftKey ? this.redo() : this.undo()), y: () => this.redo() }[name]
      : arrows[event.key] ? () => this.step(arrows[event.key], event.shiftKey ? 10 : 1)
        : this.keys(mode)[name];
    if (!act || this.pointer !== null) return;
    event.preventDefault();
    event.stopPropagation();
    this.keyed = true;
    act();
    this.draw();
  }

  keys(mode) {
    const turn = (by) => {
      const count = this.marks.pairs.length;
      if (count) this.choose((this.chosen + by + count) % count);
    };
    return {
      look: {},
      pick: {},
      brush: { " ": () => this.togglePen(), escape: () => this.lift() },
      lasso: { " ": () => this.corner(), enter: () => this.close(), escape: () => this.lift() },
      move: {},
      points: { n: () => turn(1), p: () => turn(-1), delete: () => this.remove(),
        backspace: () => this.remove(), enter: () => this.addAtCross() },
    }[mode];
  }

  cross() {
    this.at ??= [Math.round(this.ground.width / 2), Math.round(this.ground.height / 2)];
    return (this.at = this.inside(this.at));
  }

  // ---- pictures to pick from

  cellAt([x, y]) {
    const columns = this.model.get("columns");
    const rows = Math.ceil(this.model.get("choices") / columns);
    const along = (at, length, count) => Math.min(count - 1, Math.floor((at / length) * count));
    return along(y, this.ground.height, rows) * columns + along(x, this.ground.width, columns);
  }

  pick(index) {
    const choices = this.model.get("choices");
    if (index < 0 || index >= choices) return;
    this.model.set("picked", index);
    this.model.save_changes();
    this.say(`Picture ${index + 1} of ${choices}`);
    this.draw();
  }

  drawPicked(pen, scale, dots) {
    const columns = this.model.get("columns");
    const rows = Math.ceil(this.model.get("choices") / columns);
    const [wide, high] = [this.over.width / columns, (this.ground.height * scale) / rows];
    const index = this.model.get("picked");
    pen.strokeStyle = "#0072B2";
    pen.lineWidth = 5 * dots;
    pen.strokeRect((index % columns) * wide + 2.5 * dots, Math.floor(index / columns) * high
      + 2.5 * dots, wide - 5 * dots, high - 5 * dots);
  }

  step([dx, dy], by) {
    const mode = this.hand();
    const pair = this.marks.pairs[this.chosen];
    if (mode === "pick") {
      this.pick(this.model.get("picked") + dx + dy * this.model.get("columns"));
    } else if (mode === "points" && pair) {
      this.remember();
      pair.end = round(this.inside([pair.end[0] + by * dx, pair.end[1] + by * dy]));
      this.choose(this.chosen);
      this.send();
    } else if (mode === "move") {
      this.remember();
      const [x, y] = this.marks.offset;
      this.marks.offset = [x + by * dx, y + by * dy];
      this.say(`Region moved to ${words(this.marks.offset)}`);
      this.send();
    } else {
      const [x, y] = this.cross();
      const far = 2 * by;
      this.at = this.inside([x + far * dx, y + far * dy]);
      if (this.stroke?.points) this.extend(this.at);
      this.say(`${this.stroke ? "Drawing" : "Cross"} at ${words(this.at)}`);
    }
    this.refresh();
  }

  togglePen() {
    if (this.stroke) {
      this.finish();
      this.say("Pen lifted");
    } else {
      this.begin(this.cross());
      this.say(`Pen down at ${words(this.at)}`);
    }
  }

  corner() {
    if (this.stroke) this.extend(this.cross());
    else this.begin(this.cross());
    this.say(`Corner ${this.stroke.length} at ${words(this.at)}`);
  }

  close() {
    const corners = this.stroke?.length ?? 0;
    if (corners > 2) this.finish();
    this.say(corners > 2 ? `Outline of ${corners} corners closed`
      : "An outline needs three corners: set more with Space");
  }

  addAtCross() {
    this.remember();
    this.choose(this.add(this.cross()));
    this.refresh();
  }

  // ---- drawing what is on the picture

  draw() {
    const { width, height } = this.ground;
    const pen = this.over.getContext("2d");
    const scale = this.over.width / width;
    const dots = window.devicePixelRatio || 1;
    pen.setTransform(1, 0, 0, 1, 0, 0);
    pen.clearRect(0, 0, this.over.width, this.over.height);
    if (this.model.get("shows_before")) return;
    this.drawInk();
    pen.drawImage(this.ink, 0, 0, width * scale, height * scale);
    const spot = ([x, y]) => [(x + 0.5) * scale, (y + 0.5) * scale];
    const [dx, dy] = this.marks.offset;
    const drawn = Array.isArray(this.stroke) ? this.stroke : this.marks.lasso;
    this.drawOutline(pen, drawn.map(spot), dots, !Array.isArray(this.stroke));
    const region = this.model.get("outline").map(([x, y]) => spot([x + dx, y + dy]));
    this.drawOutline(pen, region, dots, true);
    this.marks.pairs.forEach((pair, i) =>
      this.drawPair(pen, spot(pair.start), spot(pair.end), dots, i === this.chosen, pair.kind));
    if (this.model.get("mode") === "pick") this.drawPicked(pen, scale, dots);
    else if (this.keyed) this.drawCross(pen, spot(this.cross()), dots, scale);
  }

  drawInk() {
    const pen = this.ink.getContext("2d");
    pen.clearRect(0, 0, this.ink.width, this.ink.height);
    const now = this.stroke?.points ? [this.stroke] : [];
    for (const stroke of [...this.marks.strokes, ...now]) {
      const { color, width, erases, kind } = stroke;
      pen.globalCompositeOperation = erases ? "destination-out" : "source-over";
      if (erases || (kind ?? "color") === "color") this.drawStroke(pen, stroke, color, width);
      else if (kind === "hold") this.drawStroke(pen, stroke, "#56B4E980", width);
      else { // a sketch: black on white, to be seen on anything
        this.drawStroke(pen, stroke, "#fff", width + 1);
        this.drawStroke(pen, stroke, "#000", width);
      }
    }
    pen.globalCompositeOperation = "source-over";
  }

  drawStroke(pen, { points }, color, width) {
    Object.assign(pen, { strokeStyle: color, fillStyle: color, lineWidth: width,
      lineCap: "round", lineJoin: "round" });
    pen.beginPath();
    const [[x, y], ...rest] = points;
    pen.moveTo(x + 0.5, y + 0.5);
    if (!rest.length) pen.lineTo(x + 0.5, y + 0.5); // a dab
    for (const [nextX, nextY] of rest) pen.lineTo(nextX + 0.5, nextY + 0.5);
    pen.stroke();
  }

  drawOutline(pen, points, dots, closed) {
    if (!points.length) return;
    pen.beginPath();
    points.forEach(([x, y]) => pen.lineTo(x, y));
    if (closed) pen.closePath();
    for (const [color, dash, width] of [["#000", [], 3], ["#fff", [6 * dots, 5 * dots], 1.6]]) {
      pen.setLineDash(dash);
      Object.assign(pen, { strokeStyle: color, lineWidth: width * dots });
      pen.stroke();
    }
    pen.setLineDash([]);
  }

  drawPair(pen, start, end, dots, chosen, kind) {
    for (const [color, width] of [["#000", 4], ["#fff", 2]]) {
      Object.assign(pen, { strokeStyle: color, lineWidth: width * dots });
      pen.beginPath();
      pen.moveTo(...start);
      pen.lineTo(...end);
      pen.stroke();
    }
    this.disc(pen, start, 5 * dots, "#E69F00", dots);
    const color = kind === "warp" ? "#009E73" : "#0072B2";
    this.disc(pen, end, (chosen ? 8.5 : 6.5) * dots, color, dots * (chosen ? 1.6 : 1));
  }

  disc(pen, [x, y], radius, color, dots) {
    pen.beginPath();
    pen.arc(x, y, radius, 0, 2 * Math.PI);
    Object.assign(pen, { fillStyle: color, strokeStyle: "#000", lineWidth: 3.5 * dots });
    pen.stroke();
    pen.fill();
    Object.assign(pen, { strokeStyle: "#fff", lineWidth: 1.8 * dots });
    pen.stroke();
  }

  drawCross(pen, [x, y], dots, scale) {
    const mode = this.hand();
    if (mode === "move" || (mode === "points" && this.marks.pairs.length)) return;
    const arm = mode === "brush" ? Math.max(6 * dots, (this.size * scale) / 2) : 10 * dots;
    for (const [color, width] of [["#000", 4], ["#fff", 1.8]]) {
      Object.assign(pen, { strokeStyle: color, lineWidth: width * dots });
      pen.beginPath();
      if (mode === "brush") pen.arc(x, y, arm, 0, 2 * Math.PI);
      pen.moveTo(x - arm, y);
      pen.lineTo(x + arm, y);
      pen.moveTo(x, y - arm);
      pen.lineTo(x, y + arm);
      pen.stroke();
    }
  }

  // ---- files in and out

  async upload(file) {
    if (!file) return;
    if (file.size > MOST) {
      this.error.textContent = `${file.name} has ${Math.round(file.size / 1e6)} MB, more than the `
        + "67 MB that fit through the notebook's connection: save it smaller, as JPEG.";
      return;
    }
    this.error.textContent = "";
    this.note.textContent = `Reading ${file.name} …`;
    const parts = Math.max(1, Math.ceil(file.size / PART));
    for (let part = 0; part < parts; part += 1) {
      const bytes = await file.slice(part * PART, (part + 1) * PART).arrayBuffer();
      this.model.send({ kind: "photo", name: file.name, part, parts }, undefined, [bytes]);
    }
  }

  receive(content, buffers) {
    if (content.kind !== "file") return;
    const url = URL.createObjectURL(new Blob([buffers[0]], { type: "image/png" }));
    element("a", { href: url, download: content.name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }
}

export default {
  render({ model, el }) {
    const view = new View(model, el);
    view.refresh();
    return () => view.stop();
  },
};
