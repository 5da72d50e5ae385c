// What the hands have in common that take hold of something and carry it elsewhere: each says
// what `grasp(place)` finds, and what `carry(place)` does to the marks.

class Carry extends Look {
  held = null; // what the pointer has hold of

  get busy() { return this.held !== null; }

  press(place) { this.held = this.grasp(place); }

  drag(places) {
    this.carry(places.at(-1));
    this.canvas.marks.send();
  }

  release(place) {
    this.carry(place);
    this.held = null;
    if (same(this.canvas.before, this.marks)) return;
    this.canvas.marks.remember(this.canvas.before);
    this.canvas.marks.send();
  }

  drop() { this.held = null; }
}
