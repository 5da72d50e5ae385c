// A widget without a picture, in a tool that has no canvas.

export default {
  render({ el }) {
    el.style.display = "none";
    return nameSliders(el);
  },
};
