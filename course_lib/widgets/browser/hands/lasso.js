// An outline around a region.

class Lasso extends Look {
  help = "Draw around a region. Keys: arrows move the cross (Shift: further), Space sets a corner, "
    + "Enter closes the outline.";
  history = ["undo", "clear"];
  keys = { " ": () => this.corner(), enter: () => this.close(), escape: () => this.drop() };
  corners = []; // of the unfinished outline

  get busy() { return this.corners.length > 0; }

  press(place) { this.corners = [round(place)]; }

  drag(places) { places.forEach((place) => extend(this.corners, place)); }

  drop() { this.corners = []; }

  rest() { this.drop(); }

  release() {
    const { corners, canvas } = this;
    this.drop();
    if (corners.length < 3) return; // a click is no outline
    canvas.marks.remember();
    this.marks.lasso = corners.map((place) => round(canvas.stage.inside(place)));
    canvas.marks.send();
  }

  corner() {
    this.drag([this.canvas.cross]);
    this.canvas.say(`Corner ${this.corners.length} at ${words(this.canvas.cross)}`);
  }

  close() {
    const count = this.corners.length;
    if (count > 2) this.release();
    this.canvas.say(count > 2 ? `Outline of ${count} corners closed`
      : "An outline needs three corners: set more with Space");
  }

  draw(pen) { pen.outline(this.busy ? this.corners : this.marks.lasso, !this.busy); }
}
