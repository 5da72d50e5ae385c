// What is drawn with: which brush or the eraser, its size and its colour.

const BRUSHES = { color: "Colour", sketch: "Sketch", hold: "Hold still", warp: "Warp", drag: "Drag" };
const HINTS = {
  color: "This colour shall be here. ",
  sketch: "An edge shall run here. ",
  hold: "What is here shall stay, whatever is dragged. ",
  warp: "What is around the start shall look as if it had been carried to the end. ",
  drag: "What is at the start shall go to the end. ",
};

class Palette {
  constructor(model, changed) { // `changed()` is called when another brush or colour is chosen
    this.changed = changed;
    this.brushes = model.get("brushes"); // none where the canvas has one brush alone
    [this.size, this.largest] = model.get("brush_size");
    this.inks = model.get("inks"); // [colour as in CSS, name]
    this.brush = this.brushes[0];
    this.color = this.inks[0][0];
    this.erases = false;
  }

  get hand() { return !this.erases && ["warp", "drag"].includes(this.brush) ? "points" : "brush"; }

  get hint() { return (!this.erases && HINTS[this.brush]) || ""; }

  stroke() {
    return { color: this.color, width: this.size, erases: this.erases, kind: this.brush ?? "color" };
  }

  pair() { // `fresh`: Python is to find where in the input it belongs
    return { fresh: !this.brush, kind: this.brush ?? "drag", width: this.size };
  }

  choose(choice) {
    Object.assign(this, { erases: false }, choice);
    this.show();
    this.changed();
  }

  show() {
    this.pens.forEach(({ button, brush, erases }) => button.setAttribute("aria-pressed",
      erases ? this.erases : !this.erases && brush === this.brush));
    this.wells.forEach((well) => well.setAttribute("aria-checked",
      !this.erases && well.value === this.color));
  }

  controls(redraw) {
    const pen = (text, choice) => ({ ...choice, button: button(text, () => this.choose(choice)) });
    const brushes = this.brushes.length ? this.brushes : [undefined];
    this.pens = [...brushes.map((brush) => pen(BRUSHES[brush] ?? "Brush", { brush })),
      pen("Eraser", { erases: true })];
    const dip = (color) => this.choose({ color, brush: this.brushes[0] });
    this.wells = this.inks.map(([color, name]) => button("", () => dip(color), {
      className: "sw-ink", ariaLabel: name, title: name, value: color,
      style: `background: ${color}`, role: "radio",
    }));
    const other = element("input", { type: "color", value: this.color,
      oninput: () => dip(other.value) });
    const size = element("input", { type: "range", min: 1, max: this.largest, value: this.size,
      oninput: () => { this.size = Number(size.value); redraw(); } });
    this.show();
    return [
      group("Pen", ...this.pens.map(({ button }) => button)),
      element("label", { className: "sw-field" }, "Size", size),
      element("div", { className: "sw-group", role: "radiogroup", ariaLabel: "Colour" },
        ...this.wells),
      element("label", { className: "sw-field" }, "Other", other),
    ];
  }
}
