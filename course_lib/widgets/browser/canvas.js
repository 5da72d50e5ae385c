// The browser's half of canvas.py: shows a picture and lets a person draw on it.
//
// Ink is drawn here, so it shows at once even while the kernel computes. This file has the page,
// the picture and the events; what these do to the marks is for the hand in use to say (hands/).

const HANDS = { look: Look, brush: Brush, lasso: Lasso, move: Move, points: Points, pick: Pick };

class Canvas {
  constructor(model, el) {
    this.model = model;
    this.mode = model.get("mode");
    this.marks = new Marks(model);
    this.hands = Object.fromEntries(
      Object.entries(HANDS).map(([name, Hand]) => [name, new Hand(this)]));
    this.palette = new Palette(model, () => this.take());
    this.grip = null; // the one pointer that draws, and its hand; others are ignored meanwhile
    this.keyed = false; // show the cross only to those who use keys
    this.painted = 0;
    this.build(el);
    this.take();
    this.listen();
    this.showPicture();
    this.showTexts();
  }

  take() { // the hand that the mode, or the chosen brush, asks for
    this.lift();
    const name = this.mode === "brushes" ? this.palette.hand : this.mode;
    this.hand = this.hands[name];
    this.stage.node.dataset.mode = name;
    this.help.textContent = this.model.get("hint") || this.palette.hint + this.hand.help;
    this.refresh();
  }

  // ---- what is on the page

  build(el) {
    this.stage = new Stage(this.model);
    this.help = element("p", { className: "sw-help" });
    this.window = element("div", { className: "sw-window" }, this.stage.node);
    this.note = element("p", { className: "sw-note", role: "status" });
    this.error = element("p", { className: "sw-error", role: "alert" });
    this.spoken = element("div", { className: "sw-spoken", ariaLive: "polite" });
    this.root = element("div", { className: "sw" },
      element("div", { className: "sw-head" },
        element("p", { className: "sw-title", textContent: this.model.get("title") }),
        this.zoomControls()),
      this.toolbar(), this.window, this.help, this.note, this.error, this.actions(),
      this.spoken);
    if (this.mode !== "look") this.openToKeys();
    keepKeys(this.root.querySelectorAll("button, input, [tabindex]"));
    el.append(this.root);
  }

  openToKeys() {
    const { node } = this.stage;
    this.help.id = `sw-help-${Math.random().toString(36).slice(2)}`;
    node.tabIndex = 0;
    node.setAttribute("role", "application");
    node.setAttribute("aria-label", `${this.model.get("title")}: ${this.mode} on a picture`);
    node.setAttribute("aria-describedby", this.help.id);
  }

  toolbar() {
    const bar = element("div", { className: "sw-bar" });
    const paints = ["brush", "brushes"].includes(this.mode);
    if (paints) bar.append(...this.palette.controls(() => this.draw()));
    const { history } = this.hands[paints ? "brush" : this.mode];
    if (!history.length) return bar;
    this.undoButton = button("Undo", () => this.undo());
    this.redoButton = button("Redo", () => this.redo());
    const buttons = { undo: [this.undoButton, this.redoButton],
      remove: [button("Remove handle", () => this.remove())],
      clear: [button("Clear", () => this.clear())] };
    bar.append(group("History", ...history.flatMap((name) => buttons[name])));
    return bar;
  }

  zoomControls() {
    const zoom = (choose) => () => { this.stage.setZoom(choose(this.stage.zoom)); this.draw(); };
    return group("Zoom",
      button("−", zoom((now) => now / 1.25), { ariaLabel: "Zoom out" }),
      button("+", zoom((now) => now * 1.25), { ariaLabel: "Zoom in" }),
      button("Fit", zoom(() => 1), { ariaLabel: "Zoom to fit" }));
  }

  actions() {
    const offered = this.model.get("actions");
    const bar = element("div", { className: "sw-bar" });
    if (offered.includes("before")) {
      this.beforeButton = button("Before / after", () => {
        this.model.set("shows_before", !this.model.get("shows_before"));
        this.model.save_changes();
      });
      bar.append(this.beforeButton);
    }
    const send = (kind) => () => this.model.send({ kind });
    if (offered.includes("reset")) bar.append(button("Reset", send("reset")));
    if (offered.includes("save")) bar.append(button("Save image", send("save")));
    if (offered.includes("photo")) {
      const file = element("input", { type: "file", accept: "image/*", hidden: true,
        onchange: () => { this.upload(file.files[0]); file.value = ""; } });
      bar.append(button(this.model.get("photo_label"), () => file.click()), file);
    }
    return bar;
  }

  listen() {
    const { model } = this;
    const watched = {
      showPicture: ["_picture", "_before", "shows_before"],
      showTexts: ["note", "error"],
      takeMarks: ["_marks"],
      draw: ["outline", "picked", "choices", "places"],
    };
    const heard = Object.entries(watched).flatMap(([act, names]) =>
      names.map((name) => [`change:${name}`, () => this[act]()]));
    heard.push(["msg:custom", (content, buffers) => {
      if (content.kind === "file") download(content.name, buffers[0]);
    }]);
    heard.forEach(([event, act]) => model.on(event, act));
    this.root.addEventListener("pointerdown", () => this.say(""), true); // it was of the last act
    const watcher = new ResizeObserver(() => { this.stage.resize(); this.draw(); });
    watcher.observe(this.root);
    this.stop = () => {
      heard.forEach(([event, act]) => model.off(event, act));
      watcher.disconnect();
    };
    if (this.mode !== "look") this.listenToHands(this.stage.node);
  }

  listenToHands(stage) {
    stage.addEventListener("pointerdown", (event) => this.press(event));
    stage.addEventListener("pointermove", (event) => this.drag(event));
    stage.addEventListener("pointerup", (event) => this.release(event));
    stage.addEventListener("pointercancel", (event) => this.cancel(event));
    stage.addEventListener("keydown", (event) => this.key(event));
    stage.addEventListener("blur", () => { this.lift(); this.keyed = false; this.draw(); });
  }

  // ---- the picture and the texts

  async showPicture() {
    const before = this.model.get("shows_before");
    this.beforeButton?.setAttribute("aria-pressed", before);
    const bytes = this.model.get(before ? "_before" : "_picture");
    if (!bytes?.byteLength || !await this.stage.show(bytes)) return;
    this.stage.node.classList.toggle("sw-before", before);
    this.draw();
    requestAnimationFrame(() => { this.root.dataset.painted = this.painted += 1; });
  }

  draw() { // the marks over the picture
    const pen = this.stage.pen();
    pen.clear();
    if (this.model.get("shows_before")) return;
    for (const hand of Object.values(this.hands)) hand.draw(pen);
    if (this.keyed) this.hand.drawCross(pen);
  }

  showTexts() {
    this.note.textContent = this.model.get("note");
    this.error.textContent = this.model.get("error");
  }

  async upload(file) {
    if (!file) return;
    this.say("");
    this.error.textContent = sizeFault(file);
    if (this.error.textContent) return;
    this.note.textContent = `Reading ${file.name} …`;
    await upload(this.model, file);
  }

  say(sentence) { this.spoken.textContent = sentence; }

  // ---- the marks

  takeMarks() { // from Python, or from another view of the same canvas
    const theirs = this.model.get("_marks");
    if (same(theirs, this.marks.now)) return;
    const hand = this.grip?.hand ?? this.hand;
    if (hand.busy) hand.heed(theirs);
    else this.marks.take(theirs);
    this.refresh();
  }

  undo() { this.change(() => this.marks.undo() && this.say("Undone")); }

  redo() { this.change(() => this.marks.redo() && this.say("Redone")); }

  clear() { this.change(() => { this.marks.clear(); this.say("Cleared"); }); }

  remove() { this.change(() => this.hands.points.remove()); }

  change(act) {
    this.lift();
    act();
    this.refresh();
  }

  lift() { // end what the keyboard was drawing
    if (this.grip === null) this.hand?.rest();
  }

  refresh() {
    if (this.undoButton) {
      this.undoButton.disabled = !this.marks.past.length;
      this.redoButton.disabled = !this.marks.future.length;
    }
    this.draw();
  }

  // ---- mouse, pen and finger

  press(event) {
    if (this.grip !== null || event.button !== 0) return;
    event.preventDefault();
    this.stage.node.focus({ preventScroll: true });
    this.lift();
    this.keyed = false;
    this.grip = { pointer: event.pointerId, hand: this.hand };
    try { this.stage.node.setPointerCapture(event.pointerId); } catch { /* gone already */ }
    this.before = copy(this.marks.now);
    this.hand.press(this.stage.place(event));
    this.draw();
  }

  drag(event) {
    if (event.pointerId !== this.grip?.pointer) return;
    if (event.buttons === 0) return void this.release(event); // let go outside the window
    const events = event.getCoalescedEvents?.() ?? [];
    this.grip.hand.drag((events.length ? events : [event]).map((part) => this.stage.place(part)));
    this.draw();
  }

  release(event) {
    if (event.pointerId !== this.grip?.pointer) return;
    const { hand } = this.grip;
    this.grip = null;
    hand.release(this.stage.place(event));
    this.refresh();
  }

  cancel(event) { // the system took the pointer away, for instance for a gesture of its own
    if (event.pointerId !== this.grip?.pointer) return;
    this.grip.hand.drop();
    this.grip = null;
    const changed = !same(this.before, this.marks.now);
    this.marks.now = this.before;
    if (changed) this.marks.send();
    this.refresh();
  }

  // ---- the keyboard

  get cross() { // where the keyboard is
    this.at ??= [Math.round(this.stage.width / 2), Math.round(this.stage.height / 2)];
    return (this.at = this.stage.inside(this.at));
  }

  set cross(place) { this.at = this.stage.inside(place); }

  key(event) {
    const name = event.key.toLowerCase();
    const keys = event.ctrlKey || event.metaKey
      ? { z: () => (event.shiftKey ? this.redo() : this.undo()), y: () => this.redo() }
      : { ...this.hand.keys, ...this.arrows(event.shiftKey) };
    if (!keys[name] || this.grip !== null) return;
    event.preventDefault();
    event.stopPropagation();
    this.keyed = true;
    keys[name]();
    this.refresh();
  }

  arrows(far) {
    const step = (by) => () => this.hand.step(by, far);
    return { arrowleft: step([-1, 0]), arrowright: step([1, 0]), arrowup: step([0, -1]),
      arrowdown: step([0, 1]) };
  }
}

export default {
  render({ model, el }) {
    const canvas = new Canvas(model, el), forget = nameSliders(el);
    return () => {
      forget();
      canvas.stop();
    };
  },
};
