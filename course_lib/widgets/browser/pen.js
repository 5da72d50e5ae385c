// Draws over the picture. Places are pixels of the picture, [0, 0] being the centre of the top
// left one; widths are pixels of the screen. What is drawn is edged in black and white, so that
// it is seen on anything.

class Pen {
  constructor(canvas, scale) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.scale = scale; // the canvas's pixels to one of the picture
    this.dots = window.devicePixelRatio || 1; // the canvas's pixels to one of the screen
  }

  clear() { this.context.clearRect(0, 0, this.canvas.width, this.canvas.height); }

  spot([x, y]) { return [(x + 0.5) * this.scale, (y + 0.5) * this.scale]; }

  trace(color, width) {
    Object.assign(this.context, { strokeStyle: color, lineWidth: width * this.dots });
    this.context.stroke();
  }

  outline(places, closed) {
    if (!places.length) return;
    this.context.beginPath();
    places.forEach((place) => this.context.lineTo(...this.spot(place)));
    if (closed) this.context.closePath();
    this.trace("#000", 3);
    this.context.setLineDash([6 * this.dots, 5 * this.dots]);
    this.trace("#fff", 1.6);
    this.context.setLineDash([]);
  }

  line(start, end) {
    this.context.beginPath();
    this.context.moveTo(...this.spot(start));
    this.context.lineTo(...this.spot(end));
    this.trace("#000", 4);
    this.trace("#fff", 2);
  }

  disc(place, radius, color, edge = 1) {
    this.context.beginPath();
    this.context.arc(...this.spot(place), radius * this.dots, 0, 2 * Math.PI);
    this.trace("#000", 3.5 * edge);
    this.context.fillStyle = color;
    this.context.fill();
    this.trace("#fff", 1.8 * edge);
  }

  cross(place, diameter = 0) { // in a circle, if there is a diameter, in the picture's pixels
    const [x, y] = this.spot(place);
    const arm = diameter ? Math.max(6 * this.dots, (diameter * this.scale) / 2) : 10 * this.dots;
    this.context.beginPath();
    if (diameter) this.context.arc(x, y, arm, 0, 2 * Math.PI);
    this.context.moveTo(x - arm, y);
    this.context.lineTo(x + arm, y);
    this.context.moveTo(x, y - arm);
    this.context.lineTo(x, y + arm);
    this.trace("#000", 4);
    this.trace("#fff", 1.8);
  }

  cell(index, columns, rows) { // a frame around one of a grid's pictures
    const { width, height } = this.canvas;
    const [wide, high, edge] = [width / columns, height / rows, 5 * this.dots];
    Object.assign(this.context, { strokeStyle: "#0072B2", lineWidth: edge });
    this.context.strokeRect((index % columns) * wide + edge / 2,
      Math.floor(index / columns) * high + edge / 2, wide - edge, high - edge);
  }

  layer(picture) { // another canvas, as large as the picture
    this.context.drawImage(picture, 0, 0, picture.width * this.scale, picture.height * this.scale);
  }
}

// A brush's strokes at the picture's own size, the eraser's taking away what lies below them.
function drawInk(canvas, strokes) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  for (const stroke of strokes) {
    const { color, width, erases, kind } = stroke;
    context.globalCompositeOperation = erases ? "destination-out" : "source-over";
    if (erases || (kind ?? "color") === "color") drawStroke(context, stroke, color, width);
    else if (kind === "hold") drawStroke(context, stroke, "#56B4E980", width);
    else { // a sketch: black on white
      drawStroke(context, stroke, "#fff", width + 1);
      drawStroke(context, stroke, "#000", width);
    }
  }
  context.globalCompositeOperation = "source-over";
}

function drawStroke(context, { points }, color, width) {
  Object.assign(context, { strokeStyle: color, lineWidth: width,
    lineCap: "round", lineJoin: "round" });
  context.beginPath();
  const [[x, y], ...rest] = points;
  context.moveTo(x + 0.5, y + 0.5);
  if (!rest.length) context.lineTo(x + 0.5, y + 0.5); // a dab
  for (const [nextX, nextY] of rest) context.lineTo(nextX + 0.5, nextY + 0.5);
  context.stroke();
}
