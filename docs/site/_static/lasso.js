// The Poisson lasso: what is lassoed on one picture is dragged over another, and blended there while
// it moves. Nothing leaves the machine: a photograph of the reader's own is only drawn on a canvas.
"use strict";
(() => {
  const LONGEST = 320;  // pixels along a picture's longer side: the equation is solved in these
  const STEP = 4, FAR = 20;  // pixels that an arrow key moves by, and with Shift
  const SMALLEST = 60;  // square pixels of a lasso that was meant
  const id = (name) => document.getElementById(`lasso-${name}`);
  const from = { canvas: id("source"), pick: id("from"), file: id("from-file") };
  const onto = { canvas: id("target"), pick: id("onto"), file: id("onto-file") };
  const size = id("size"), blended = id("blend"), gradients = id("gradients"), note = id("note");
  const say = toys.later((text) => { note.textContent = text; });
  const HINT = {
    from: "Draw around a piece. By keys: arrows move the lasso, plus and minus change its size.",
    onto: "Drag the piece. By keys: arrows move it, with Shift farther.",
  };
  let outline = oval(0.48, 0.47, 0.275, 0.3);  // of the lasso, in shares of the source's sides
  let place = [152, 62];  // of its middle, in the target's pixels
  let piece, waiting = false;
  const NOTHING = "The piece covers the picture or lies beside it, so no rim is left to begin from.";

  function oval(x, y, wide, high) {
    return Array.from({ length: 48 }, (_, turn) => [
      x + wide * Math.cos(turn * Math.PI / 24), y + high * Math.sin(turn * Math.PI / 24)]);
  }

  // Pictures.

  async function show(side, url, name) {
    const picture = new Image();
    picture.src = url;
    await picture.decode();
    const scale = LONGEST / Math.max(picture.naturalWidth, picture.naturalHeight);
    const [width, height] = [picture.naturalWidth, picture.naturalHeight].map(
      (side) => Math.max(8, Math.round(side * scale)));
    Object.assign(side.canvas, { width, height });
    Object.assign(side, { picture, name, pixels: pixelsOf(picture, width, height) });
    if (side === onto) place = place.map((at, axis) => Math.min(at, [width, height][axis]));
    cut();
  }

  function pixelsOf(picture, width, height) {
    const canvas = new OffscreenCanvas(width, height), pen = canvas.getContext("2d");
    Object.assign(pen, { imageSmoothingQuality: "high", fillStyle: "#fff" });
    pen.fillRect(0, 0, width, height);  // behind what is transparent
    pen.drawImage(picture, 0, 0, width, height);
    return pen.getImageData(0, 0, width, height);
  }

  function offer(side, first) {
    side.pick.append(...Object.keys(LASSO_PHOTOS).map((name) => new Option(name)));
    side.pick.value = first;
    side.pick.onchange = () => show(side, LASSO_PHOTOS[side.pick.value], side.pick.value);
    side.file.onchange = () => {
      const [file] = side.file.files;
      if (!file) return;
      const url = URL.createObjectURL(file);
      show(side, url, "your photograph").catch(() => {
        say(`${file.name} could not be read as a picture: try a JPEG or a PNG.`);
      }).finally(() => URL.revokeObjectURL(url));
    };
    return show(side, LASSO_PHOTOS[first], first);
  }

  // The piece: the source at the size that was chosen, and what of it is in the lasso.

  function cut() {
    if (!from.pixels || !onto.pixels) return;
    const { width, height } = from.canvas;
    const [wide, high] = [width, height].map((side) => Math.max(2, Math.round(side * size.value)));
    const pen = new OffscreenCanvas(wide, high).getContext("2d");
    trace(pen, wide, high);
    pen.fill();
    const drawn = pen.getImageData(0, 0, wide, high).data;
    const mask = Uint8Array.from({ length: wide * high }, (_, at) => +(drawn[4 * at + 3] > 127));
    const middle = [0, 1].map((axis) => {
      const along = outline.map((point) => point[axis]);
      return (Math.min(...along) + Math.max(...along)) / 2;
    });
    piece = { pixels: pixelsOf(from.picture, wide, high), mask, wide, high, middle };
    drawLasso();
    draw();
  }

  function trace(pen, wide, high) {
    pen.beginPath();
    for (const [x, y] of outline) pen.lineTo(x * wide, y * high);
    pen.closePath();
  }

  function drawLasso() {
    const { canvas, pixels } = from, pen = canvas.getContext("2d");
    pen.putImageData(pixels, 0, 0);
    for (const [color, width, dash] of [["#000", 3, []], ["#fff", 1.5, [6, 4]]]) {
      Object.assign(pen, { strokeStyle: color, lineWidth: width });
      pen.setLineDash(dash);
      trace(pen, canvas.width, canvas.height);
      pen.stroke();
    }
    canvas.setAttribute("aria-label", `From ${from.name}, with a lasso around a piece. ${HINT.from}`);
  }

  // The answer, once for each picture that the screen shows.

  function draw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      const began = performance.now(), { canvas } = onto;
      const { answer, solved } = solve();
      canvas.getContext("2d").putImageData(answer, 0, 0);
      canvas.dataset.painted = +(canvas.dataset.painted ?? 0) + 1;
      const took = performance.now() - began, [x, y] = place.map(Math.round);
      canvas.dataset.took = took;
      canvas.setAttribute("aria-label", `Onto ${onto.name}: the piece's middle is at ${x}, ${y} of `
        + `${canvas.width} by ${canvas.height}. ${HINT.onto}`);
      say(!solved ? NOTHING : `${blended.checked ? "Solved" : "Pasted"} on your machine in ${Math.round(took)} ms; the `
        + `piece's middle is at ${x}, ${y}.`);
    });
  }

  const corner = () => place.map((at, axis) =>
    Math.round(at - piece.middle[axis] * [piece.wide, piece.high][axis]));

  function solve() {
    const { width, height } = onto.canvas, [left, top] = corner();
    const answer = new ImageData(new Uint8ClampedArray(onto.pixels.data), width, height);
    if (!blended.checked) return { answer: paste(answer, left, top), solved: true };
    const box = poisson.clone(piece.pixels, onto.pixels, piece.mask, left, top,
      gradients.value === "mixed");
    for (let y = 0; box && y < box.height; y++) {
      for (let x = 0; x < box.width; x++) {
        const at = (y + 1) * box.stride + x + 1, to = 4 * ((y + box.top) * width + x + box.left);
        if (!box.inside[at]) continue;
        for (let channel = 0; channel < 3; channel++) {
          answer.data[to + channel] = Math.round(255 * box.values[channel][at]);
        }
      }
    }
    return { answer, solved: !!box };
  }

  function paste(answer, left, top) {
    piece.mask.forEach((inside, at) => {
      const x = at % piece.wide + left, y = Math.floor(at / piece.wide) + top;
      if (!inside || x < 0 || y < 0 || x >= answer.width || y >= answer.height) return;
      const to = 4 * (y * answer.width + x);
      answer.data.set(piece.pixels.data.subarray(4 * at, 4 * at + 3), to);
    });
    return answer;
  }

  // Pointers and keys.

  function spot(canvas, event) {  // where an event is, in shares of the picture
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map(
      (share) => Math.min(Math.max(share, 0), 1));
  }

  function onDrag(canvas, begin) {
    canvas.onpointerdown = (event) => {
      if (event.button || !piece) return;
      canvas.setPointerCapture(event.pointerId);
      const { move, end } = begin(spot(canvas, event));
      canvas.onpointermove = (next) => move(spot(canvas, next));
      canvas.onpointerup = canvas.onpointercancel = () => {
        canvas.onpointermove = canvas.onpointerup = canvas.onpointercancel = null;
        end?.();
      };
    };
  }

  onDrag(from.canvas, (start) => {
    const before = outline;
    outline = [start];
    return {
      move: (at) => { outline.push(at); drawLasso(); },
      end: () => { if (area() < SMALLEST) outline = before; cut(); },
    };
  });

  onDrag(onto.canvas, (start) => {
    const sides = [onto.canvas.width, onto.canvas.height], there = start.map((s, axis) => s * sides[axis]);
    const [x, y] = there.map((at, axis) => Math.round(at) - corner()[axis]);
    const hit = x >= 0 && y >= 0 && x < piece.wide && y < piece.high && piece.mask[y * piece.wide + x];
    const grip = place.map((at, axis) => hit ? at - there[axis] : 0);
    const move = (at) => { place = at.map((s, axis) => s * sides[axis] + grip[axis]); draw(); };
    move(start);
    return { move };
  });

  function area() {
    const sum = outline.reduce((total, [x, y], at) => {
      const [nextX, nextY] = outline[(at + 1) % outline.length];
      return total + x * nextY - nextX * y;
    }, 0);
    return Math.abs(sum) / 2 * from.canvas.width * from.canvas.height;
  }

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  onto.canvas.onkeydown = (event) => {
    const way = ARROWS[event.key];
    if (!way || !piece) return;
    const sides = [onto.canvas.width, onto.canvas.height], step = event.shiftKey ? FAR : STEP;
    place = place.map((at, axis) => Math.min(Math.max(at + step * way[axis], 0), sides[axis]));
    draw();
    event.preventDefault();
  };

  from.canvas.onkeydown = (event) => {
    const way = ARROWS[event.key], grow = { "+": 1.1, "=": 1.1, "-": 1 / 1.1 }[event.key];
    if (!(way || grow) || !piece) return;
    const step = event.shiftKey ? FAR : STEP, sides = [from.canvas.width, from.canvas.height];
    const moved = outline.map((point) => point.map((at, axis) => way
      ? at + step * way[axis] / sides[axis]
      : piece.middle[axis] + grow * (at - piece.middle[axis])));
    const outside = moved.flat().some((at) => at < 0 || at > 1);
    const before = outline;
    outline = moved;
    if (outside || area() < SMALLEST) outline = before;
    cut();
    event.preventDefault();
  };

  size.oninput = cut;
  blended.onchange = gradients.onchange = draw;
  toys.lasso = { state: () => ({ piece, corner: corner(), target: onto.pixels, ...solve() }) };
  offer(from, "chelsea").then(() => offer(onto, "coffee"));
})();
