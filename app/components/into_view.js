export default function (component) {
  const { data, parentElement } = component;
  const mark = parentElement.host ?? parentElement;
  if (mark.dataset.brought === data.occasion) return;  // once for each occasion: whoever scrolls on is left alone
  mark.dataset.brought = data.occasion;
  const box = mark.getBoundingClientRect();
  const room = 0.35 * innerHeight;  // of what begins here, that much is to be seen
  if (box.top < 0 || box.bottom > innerHeight - room) mark.scrollIntoView({ block: "center", behavior: "smooth" });
}
