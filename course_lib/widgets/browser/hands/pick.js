// One of several pictures that stand in a grid; or one of the places of a single picture, which have
// names (`places`), and no frame but for those who use keys.

class Pick extends Look {
  help = "Click a picture to choose it. Keys: arrows.";

  get columns() { return this.canvas.model.get("columns"); }

  get rows() { return Math.ceil(this.canvas.model.get("choices") / this.columns); }

  get places() { return this.canvas.model.get("places"); }

  press([x, y]) {
    const { width, height } = this.canvas.stage;
    const cell = (at, length, count) => Math.min(count - 1, Math.floor((at / length) * count));
    this.pick(cell(y, height, this.rows) * this.columns + cell(x, width, this.columns));
  }

  step([dx, dy]) { this.pick(this.canvas.model.get("picked") + dx + dy * this.columns); }

  pick(index) {
    const choices = this.canvas.model.get("choices");
    if (index < 0 || index >= choices) return;
    this.canvas.model.set("picked", index);
    this.canvas.model.save_changes();
    this.canvas.say(this.places[index] ?? `Picture ${index + 1} of ${choices}`);
  }

  draw(pen) {
    if (this.canvas.hand === this && !this.places.length) this.frame(pen);
  }

  drawCross(pen) { this.frame(pen); }

  frame(pen) { pen.cell(this.canvas.model.get("picked"), this.columns, this.rows); }
}
