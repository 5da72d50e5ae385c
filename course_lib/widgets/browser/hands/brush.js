// Strokes of ink, or of the eraser.

class Brush extends Look {
  help = "Draw with mouse, pen or finger. Keys: arrows move the brush (Shift: further), "
    + "Space puts it down or lifts it.";
  history = ["undo", "clear"];
  keys = { " ": () => this.toggle(), escape: () => this.rest() };
  stroke = null; // the unfinished one

  get busy() { return this.stroke !== null; }

  press(place) { this.stroke = { points: [round(place)], ...this.canvas.palette.stroke() }; }

  drag(places) { places.forEach((place) => extend(this.stroke.points, place)); }

  drop() { this.stroke = null; }

  rest() { if (this.busy) this.release(); }

  release() {
    const stroke = this.stroke;
    this.stroke = null;
    this.canvas.marks.remember();
    this.marks.strokes.push(stroke);
    if (stroke.erases) this.wipe(stroke);
    this.canvas.marks.send();
  }

  wipe({ points, width }) { // handles under the eraser go as well
    const near = (place) => points.some((point) => distance(point, place) <= width / 2 + 1);
    this.marks.pairs = this.marks.pairs.filter(({ start, end }) => !near(start) && !near(end));
    this.canvas.hands.points.chosen = 0;
  }

  toggle() {
    const { cross } = this.canvas;
    if (this.busy) this.release();
    else this.press(cross);
    this.canvas.say(this.busy ? `Pen down at ${words(cross)}` : "Pen lifted");
  }

  step(by, far) {
    super.step(by, far);
    if (this.busy) this.drag([this.canvas.cross]);
  }

  draw(pen) {
    drawInk(this.canvas.stage.ink, [...this.marks.strokes, ...(this.busy ? [this.stroke] : [])]);
    pen.layer(this.canvas.stage.ink);
  }

  drawCross(pen) { pen.cross(this.canvas.cross, this.canvas.palette.size); }
}
