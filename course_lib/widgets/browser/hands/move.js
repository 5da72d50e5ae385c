// A region that is moved about.

class Move extends Carry {
  help = "Drag the outlined region. Keys: arrows move it (Shift: further).";
  history = ["undo"];

  grasp(place) { return place; }

  carry([x, y]) {
    const [left, top] = this.canvas.before.offset;
    this.marks.offset = [Math.round(left + x - this.held[0]), Math.round(top + y - this.held[1])];
  }

  step([dx, dy], far) {
    const [x, y] = this.marks.offset;
    const by = far ? 10 : 1;
    this.canvas.marks.remember();
    this.marks.offset = [x + by * dx, y + by * dy];
    this.canvas.say(`Region moved to ${words(this.marks.offset)}`);
    this.canvas.marks.send();
  }

  draw(pen) {
    const [dx, dy] = this.marks.offset;
    pen.outline(this.canvas.model.get("outline").map(([x, y]) => [x + dx, y + dy]), true);
  }

  drawCross() {}
}
