// The handles of Jupyter's sliders know nothing of the label beside them, so that a screen reader
// would say "slider" and no more. This names those that stand in the same tool as an element.

const nameSliders = (el) => {
  let frame;
  const watcher = new MutationObserver(() => name());
  const root = () => {
    let found = el;
    for (let one = el; one; one = one.parentElement?.closest(".jupyter-widgets")) found = one;
    return found;
  };
  const name = () => root().querySelectorAll(".noUi-handle:not([aria-label])").forEach((handle) => {
    const slider = handle.closest(".jupyter-widgets"), text = slider.querySelector(".widget-label");
    const several = slider.querySelectorAll(".noUi-handle").length > 1;
    const end = several ? [": from", ": to"][handle.dataset.handle] : "";
    if (text?.textContent) handle.setAttribute("aria-label", text.textContent + end);
  });
  const begin = () => {
    if (!el.isConnected) {
      frame = requestAnimationFrame(begin);
      return;
    }
    name();
    watcher.observe(root(), { childList: true, subtree: true });
  };
  begin();
  return () => {
    cancelAnimationFrame(frame);
    watcher.disconnect();
  };
};
