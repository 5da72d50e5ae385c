// What was drawn, and its history. Python hears of the marks (`_marks`, one value) when a stroke
// ends, and as often as it can follow while a point or a region is dragged: ipywidgets holds back
// all but the newest value until the kernel is idle.

const copy = (value) => JSON.parse(JSON.stringify(value));
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

class Marks {
  constructor(model) {
    this.model = model;
    this.now = copy(model.get("_marks")); // { strokes, lasso, offset, pairs }, as in canvas.py
    this.past = [];
    this.future = [];
  }

  send() {
    this.model.set("_marks", copy(this.now));
    this.model.save_changes();
  }

  remember(before = this.now) {
    this.past.push(copy(before));
    this.future = [];
  }

  undo() { return this.travel(this.past, this.future); }

  redo() { return this.travel(this.future, this.past); }

  travel(from, to) { // whether there was anything to go to
    if (!from.length) return false;
    to.push(copy(this.now));
    this.now = from.pop();
    this.send();
    return true;
  }

  clear() {
    this.remember();
    this.now = { ...this.now, strokes: [], lasso: [], pairs: [] };
    this.send();
  }

  take(theirs) { // from Python, or from another view of the same canvas
    const placed = theirs.pairs.length === this.now.pairs.length
      && this.now.pairs.some((pair) => pair.fresh); // Python found out where a handle belongs
    if (!placed) this.remember();
    this.now = copy(theirs);
  }
}
