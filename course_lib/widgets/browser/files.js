// Photos on their way to Python, and pictures on their way to the user's disk.

const PART_BYTES = 2 ** 21; // of one message: servers close connections over larger ones
const PHOTO_BYTES = 2 ** 26; // at most

const sizeFault = (file) => (file.size <= PHOTO_BYTES ? ""
  : `${file.name} has ${Math.round(file.size / 1e6)} MB, more than the 67 MB that fit through the `
    + "notebook's connection: save it smaller, as JPEG.");

async function upload(model, file) {
  const parts = Math.max(1, Math.ceil(file.size / PART_BYTES));
  for (let part = 0; part < parts; part += 1) {
    const bytes = await file.slice(part * PART_BYTES, (part + 1) * PART_BYTES).arrayBuffer();
    model.send({ kind: "photo", name: file.name, part, parts }, undefined, [bytes]);
  }
}

function download(name, bytes) {
  const url = URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
