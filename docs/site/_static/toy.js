// The first page's toys: tabs, and under two of them a generator whose codes are moved by sliders:
// sliders -> strengths -> ONNX Runtime -> a canvas. A tab brings what it needs when it is opened,
// and everything comes as a script, since a page that was opened from a folder may fetch nothing.
"use strict";
(() => {
  const here = document.currentScript.src;
  const toys = (window.toys = { loadScript, later });
  const starts = {
    lasso: () => loadScript("lasso-photos.js").then(() => loadScript("poisson.js"))
      .then(() => loadScript("lasso.js")),
    cats: () => startNetwork("cats", "A generated cat"),
    clothes: () => startNetwork("clothes", "A generated garment"),
  };
  let runtime;

  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const gaussian = () =>
    Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());

  function loadScript(name) {
    return new Promise((done, failed) => {
      const script = document.createElement("script");
      const lost = () => failed(new Error(`${name} is missing`));
      Object.assign(script, { src: new URL(name, here).href, onload: done, onerror: lost });
      document.head.append(script);
    });
  }

  // What a reader is told comes once they have paused, so that a screen reader can keep up.
  function later(act, milliseconds = 250) {
    let timer;
    return (...words) => {
      clearTimeout(timer);
      timer = setTimeout(() => act(...words), milliseconds);
    };
  }

  async function unpacked(text) {
    const stream = new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  async function loadRuntime() {
    await loadScript("toy-runtime.js");
    const code = new Blob([await unpacked(TOY_RUNTIME.code)], { type: "text/javascript" });
    const ort = await import(URL.createObjectURL(code));
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmBinary = (await unpacked(TOY_RUNTIME.machine)).buffer;
    return ort;
  }

  // Tabs: arrow keys go from one to the next, and open it.

  const tabs = [...document.querySelectorAll("#toy [role=tab]")];
  tabs.forEach((tab, number) => {
    tab.onclick = () => open(tab);
    tab.onkeydown = (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(number + step + tabs.length) % tabs.length];
      next.focus();
      open(next);
      event.preventDefault();
    };
  });

  function open(chosen) {
    for (const tab of tabs) {
      tab.setAttribute("aria-selected", tab === chosen);
      tab.tabIndex = tab === chosen ? 0 : -1;
      document.getElementById(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
    }
    const name = chosen.dataset.toy, start = starts[name];
    delete starts[name];
    start?.().catch((error) => {
      document.getElementById(`${name}-note`).textContent =
        `This could not be started in this browser (${error.message ?? error}), so nothing moves: `
        + "a current Firefox, Chrome, Edge or Safari runs it.";
    });
  }

  // A generator on sliders.

  async function startNetwork(name, what) {
    const id = (part) => document.getElementById(`${name}-${part}`);
    const canvas = id("canvas"), note = id("note");
    await Promise.all([(runtime ??= loadRuntime()), loadScript(`toy-${name}.js`)]);
    const ort = await runtime, about = window.TOYS[name];
    const session = await ort.InferenceSession.create(
      await unpacked(about.graph), { executionProviders: ["wasm"] });
    canvas.width = canvas.height = about.resolution;
    let z, running = false, stale = false;
    const sliders = about.names.map(addSlider), kind = about.kinds && addKinds();
    id("another").onclick = another;
    id("reset").onclick = reset;
    for (const button of [id("another"), id("reset")]) button.disabled = false;
    const say = later((text) => { note.textContent = text; });
    toys[name] = { run };
    another();

    function addSlider(label) {
      const row = document.createElement("label"), slider = document.createElement("input");
      Object.assign(slider, { type: "range", min: -1, max: 1, step: 0.02, value: 0, oninput: draw });
      row.append(label, slider);
      id("sliders").append(row);
      return slider;
    }

    function addKinds() {
      const row = document.createElement("label"), select = document.createElement("select");
      select.append(...about.kinds.map((text) => new Option(text)));
      select.onchange = draw;
      row.append("kind", select);
      id("sliders").prepend(row);
      return select;
    }

    function another() {
      z = Float32Array.from({ length: about.z_dim }, gaussian);
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
        const began = performance.now();
        paint(canvas, await run(z, sliders.map((one) => +one.value), kind?.selectedIndex));
        canvas.dataset.painted = +(canvas.dataset.painted ?? 0) + 1;
        canvas.setAttribute("aria-label", description());
        say(`Drawn on your machine in ${Math.round(performance.now() - began)} ms`);
      }
      running = false;
    }

    async function run(z, strengths, kind) {
      const feeds = { z: [[1, z.length], z], strengths: [[strengths.length], strengths] };
      if (about.kinds) feeds.mix = [[about.kinds.length], about.kinds.map((_, at) => +(at === kind))];
      for (const [input, [shape, values]] of Object.entries(feeds)) {
        feeds[input] = new ort.Tensor("float32", Float32Array.from(values), shape);
      }
      return (await session.run(feeds)).picture.data;
    }

    function description() {
      const moved = about.names.flatMap((text, at) =>
        +sliders[at].value ? [`${+sliders[at].value > 0 ? "more" : "less"} ${text}`] : []);
      return [what, ...(kind ? [kind.value] : []), ...moved].join(", ");
    }
  }

  function paint(canvas, picture) {
    const pixels = picture.length / 3, image = new ImageData(canvas.width, canvas.height);
    for (let at = 0; at < pixels; at++) {
      for (let channel = 0; channel < 3; channel++) {
        image.data[4 * at + channel] = Math.round(255 * picture[channel * pixels + at]);
      }
      image.data[4 * at + 3] = 255;
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
  }

  open(tabs[0]);
})();
