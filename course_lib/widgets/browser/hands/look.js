// What a pointer or the keyboard does on the picture: one object for each way to draw. All have
// the same methods, and the canvas calls those of the hand in use:
//
//   press(place), drag(places), release(place)   a pointer goes down, moves, and is let go
//   drop()          the system took the pointer away: forget what it was at
//   rest()          end what the keyboard was drawing
//   step(by, far)   an arrow key, with Shift far
//   keys            what other keys do
//   heed(marks)     these came from Python while the hand is busy
//   draw(pen)       the marks of this kind, the unfinished one as well
//   drawCross(pen)  where the keyboard is
//
// Places are [x, y] in pixels of the picture, [0, 0] being the centre of the top left pixel.

const tenth = (value) => Math.round(value * 10) / 10;
const round = ([x, y]) => [tenth(x), tenth(y)];
const words = ([x, y]) => `x ${Math.round(x)}, y ${Math.round(y)}`;
const distance = ([x, y], [u, v]) => Math.hypot(x - u, y - v);

function extend(places, place) {
  if (!same(places.at(-1), round(place))) places.push(round(place));
}

class Look { // which is all it does, but for moving the cross of those that draw with keys
  help = "";
  history = []; // buttons beside the picture: "undo" (and redo), "remove", "clear"
  keys = {};

  constructor(canvas) { this.canvas = canvas; }

  get marks() { return this.canvas.marks.now; }

  get busy() { return false; } // with something unfinished

  press() {}
  drag() {}
  release() {}
  drop() {}
  rest() {}
  heed() {}
  draw() {}

  drawCross(pen) { pen.cross(this.canvas.cross); }

  step([dx, dy], far) {
    const [x, y] = this.canvas.cross;
    const by = far ? 20 : 2;
    this.canvas.cross = [x + by * dx, y + by * dy];
    this.canvas.say(`${this.busy ? "Drawing" : "Cross"} at ${words(this.canvas.cross)}`);
  }
}
