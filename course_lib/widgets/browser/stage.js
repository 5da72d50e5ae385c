// The picture on the screen, how large it is there, and the layer over it that is drawn on.

class Stage {
  constructor(model) {
    this.model = model;
    this.ground = element("canvas", { role: "img", ariaLabel: model.get("alt") });
    this.over = element("canvas", { ariaHidden: "true" });
    this.ink = element("canvas"); // strokes, at the picture's own size
    this.node = element("div", { className: "sw-stage" }, this.ground, this.over);
    this.zoom = 1;
    this.turn = 0; // counts the pictures
  }

  get width() { return this.ground.width; }

  get height() { return this.ground.height; }

  async show(bytes) { // whether it is the newest
    const turn = (this.turn += 1);
    const bitmap = await createImageBitmap(new Blob([bytes]));
    if (turn !== this.turn) return false; // a newer one came meanwhile
    const { width, height } = bitmap;
    if (width !== this.width || height !== this.height) {
      [this.ground, this.ink].forEach((canvas) => Object.assign(canvas, { width, height }));
      this.resize();
    }
    this.ground.getContext("2d").drawImage(bitmap, 0, 0);
    return true;
  }

  setZoom(zoom) {
    this.zoom = Math.min(8, Math.max(0.25, zoom));
    this.resize();
  }

  resize() {
    const { width, height } = this;
    const most = parseFloat(getComputedStyle(this.node).getPropertyValue("--sw-picture"));
    const room = Math.min(this.node.closest(".sw").clientWidth, this.model.get("max_width"),
      most || Infinity, (this.model.get("max_height") * width) / height);
    const wide = Math.max(16, Math.floor(room * this.zoom));
    this.node.style.width = `${wide}px`;
    this.node.style.height = `${Math.round((wide * height) / width)}px`;
    const dots = window.devicePixelRatio || 1;
    this.over.width = Math.round(wide * dots);
    this.over.height = Math.round((this.over.width * height) / width);
  }

  pen() { return new Pen(this.over, this.over.width / this.width); }

  place(event) { // [x, y] in pixels of the picture
    const box = this.over.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * this.width - 0.5,
      ((event.clientY - box.top) / box.height) * this.height - 0.5];
  }

  inside([x, y]) {
    return [Math.min(this.width - 1, Math.max(0, x)), Math.min(this.height - 1, Math.max(0, y))];
  }

  screenScale() { return this.over.getBoundingClientRect().width / this.width; }
}
