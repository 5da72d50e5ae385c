// Handles: each a place, and where it was dragged to.

const REACH = 18; // how near to a handle a pointer takes hold of it, in pixels of the screen

class Points extends Carry {
  help = "Click to set a handle, drag it to move the picture. Keys: arrows move the handle "
    + "(Shift: further), N and P choose another, Enter sets one at the cross, Delete removes it.";
  history = ["undo", "remove", "clear"];
  keys = { n: () => this.turn(1), p: () => this.turn(-1), enter: () => this.addAtCross(),
    delete: () => this.remove(), backspace: () => this.remove() };
  chosen = 0; // the number of the handle that the keyboard moves

  grasp(place) { // the number of the handle there, new if there is none
    const scale = this.canvas.stage.screenScale();
    const far = this.marks.pairs.map(({ end }) => distance(end, place) * scale);
    const nearest = far.indexOf(Math.min(...far));
    const index = nearest >= 0 && far[nearest] <= REACH ? nearest : this.add(place);
    this.choose(index);
    return index;
  }

  carry(place) { this.marks.pairs[this.held].end = round(this.canvas.stage.inside(place)); }

  heed({ pairs }) { // Python found out where a new handle belongs: the end stays in the hand
    if (pairs.length !== this.marks.pairs.length) return;
    this.marks.pairs = pairs.map((pair, i) => (i === this.held
      ? { ...pair, end: this.marks.pairs[i].end } : pair));
  }

  add(place) { // returns its number
    const start = round(this.canvas.stage.inside(place));
    this.marks.pairs.push({ start, end: start, ...this.canvas.palette.pair() });
    this.canvas.marks.send();
    return this.marks.pairs.length - 1;
  }

  choose(index) {
    this.chosen = index;
    const { pairs } = this.marks;
    if (!pairs[index]) return;
    this.canvas.say(`Handle ${index + 1} of ${pairs.length}, at ${words(pairs[index].end)}`);
  }

  turn(by) {
    const count = this.marks.pairs.length;
    if (count) this.choose((this.chosen + by + count) % count);
  }

  addAtCross() {
    this.canvas.marks.remember();
    this.choose(this.add(this.canvas.cross));
  }

  remove() {
    if (!this.marks.pairs[this.chosen]) return;
    this.canvas.marks.remember();
    this.marks.pairs.splice(this.chosen, 1);
    this.choose(Math.max(0, this.chosen - 1));
    this.canvas.marks.send();
  }

  step([dx, dy], far) {
    const pair = this.marks.pairs[this.chosen];
    if (!pair) return void super.step([dx, dy], far);
    const by = far ? 10 : 1;
    this.canvas.marks.remember();
    pair.end = round(this.canvas.stage.inside([pair.end[0] + by * dx, pair.end[1] + by * dy]));
    this.choose(this.chosen);
    this.canvas.marks.send();
  }

  draw(pen) {
    this.marks.pairs.forEach(({ start, end, kind }, i) => {
      const [radius, edge] = i === this.chosen ? [8.5, 1.6] : [6.5, 1];
      pen.line(start, end);
      pen.disc(start, 5, "#E69F00");
      pen.disc(end, radius, kind === "warp" ? "#009E73" : "#0072B2", edge);
    });
  }

  drawCross(pen) { if (!this.marks.pairs.length) super.drawCross(pen); }
}
