// The first page's toy: sliders -> strengths -> ONNX Runtime -> a canvas. Everything that it needs
// comes as a script, since a page that was opened from a folder may fetch nothing.
"use strict";
(() => {
  const id = (name) => document.getElementById(`toy-${name}`);
  const canvas = id("canvas"), note = id("note");
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  let session, ort, z, sliders, running = false, stale = false;

  const gaussian = () =>
    Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());

  function loadScript(source) {
    return new Promise((done, failed) => {
      const script = document.createElement("script");
      Object.assign(script, { src: source, onload: done, onerror: failed });
      document.head.append(script);
    });
  }

  async function start() {
    await loadScript(new URL("toy-data.js", here).href);
    const code = new Blob([bytes(TOY.runtime)], { type: "text/javascript" });
    ort = await import(URL.createObjectURL(code));
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = bytes(TOY.machine).buffer;
    session = await ort.InferenceSession.create(bytes(TOY.graph), { executionProviders: ["wasm"] });
    canvas.width = canvas.height = TOY.resolution;
    sliders = TOY.names.map(addSlider);
    for (const name of ["another", "reset"]) id(name).disabled = false;
    id("another").onclick = another;
    id("reset").onclick = reset;
    another();
  }

  function addSlider(name) {
    const label = document.createElement("label"), slider = document.createElement("input");
    Object.assign(slider, { type: "range", min: -1, max: 1, step: 0.02, value: 0, oninput: draw });
    label.append(name, slider);
    id("sliders").append(label);
    return slider;
  }

  function another() {
    z = Float32Array.from({ length: TOY.z_dim }, gaussian);
    return reset();
  }

  function reset() {
    for (const slider of sliders) slider.value = 0;
    return draw();
  }

  // One picture at a time; what a slider said meanwhile is drawn after it.
  async function draw() {
    stale = true;
    if (running) return;
    running = true;
    while (stale) {
      stale = false;
      const began = performance.now(), picture = await run(z, sliders.map((one) => +one.value));
      paint(picture);
      canvas.dataset.painted = +(canvas.dataset.painted ?? 0) + 1;
      say(performance.now() - began);
    }
    running = false;
  }

  async function run(z, strengths) {
    const { picture } = await session.run({
      z: new ort.Tensor("float32", Float32Array.from(z), [1, z.length]),
      strengths: new ort.Tensor("float32", Float32Array.from(strengths), [strengths.length]),
    });
    return picture.data;
  }

  function paint(picture) {
    const pixels = picture.length / 3, image = new ImageData(canvas.width, canvas.height);
    for (let at = 0; at < pixels; at++) {
      for (let channel = 0; channel < 3; channel++) {
        image.data[4 * at + channel] = Math.round(255 * picture[channel * pixels + at]);
      }
      image.data[4 * at + 3] = 255;
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  function say(milliseconds) {
    const moved = TOY.names.flatMap((name, at) =>
      sliders[at].value == 0 ? [] : `${+sliders[at].value > 0 ? "more" : "less"} ${name}`);
    canvas.setAttribute("aria-label", ["A generated cat", ...moved].join(", "));
    note.textContent = `Drawn on your machine in ${Math.round(milliseconds)} ms`;
  }

  const here = document.currentScript.src;
  window.toy = { run };
  start().catch((error) => {
    note.textContent = `The network could not be started in this browser (${error.message ?? error}), `
      + "so the sliders stay away: a current Firefox, Chrome, Edge or Safari runs it.";
  });
})();
