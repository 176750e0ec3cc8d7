// Says what a word of the glossary means while it is pointed at or focused: one tip for the whole page, never cut off.
const GAP = 6, EDGE = 8;  // pixels below the word; to the edge of the window
export default function () {
  const tip = Object.assign(document.createElement("div"), { className: "cs-tip", id: "cs-tip" });
  tip.setAttribute("role", "tooltip");
  tip.hidden = true;
  document.querySelector(".stApp").appendChild(tip);  // inside it, because it holds the colours of the theme
  let word = null;
  const hide = () => {
    word?.removeAttribute("aria-describedby");
    word = null;
    tip.hidden = true;
  };
  const show = (event) => {
    const found = event.target.closest?.("[data-says]");
    if (!found) return;
    hide();
    word = found;
    word.setAttribute("aria-describedby", tip.id);
    tip.textContent = word.dataset.says;
    tip.hidden = false;
    const at = word.getBoundingClientRect(), size = tip.getBoundingClientRect();
    const left = Math.max(EDGE, Math.min(at.left, innerWidth - size.width - EDGE));
    const below = at.bottom + GAP + size.height < innerHeight;
    Object.assign(tip.style, { left: `${left}px`, top: `${below ? at.bottom + GAP : at.top - GAP - size.height}px` });
  };
  const left = (event) => { if (word && event.target === word) hide(); };
  const escaped = (event) => { if (event.key === "Escape") hide(); };
  document.addEventListener("mouseover", show);
  document.addEventListener("focusin", show);
  document.addEventListener("mouseout", left);
  document.addEventListener("focusout", left);
  document.addEventListener("keydown", escaped);
  document.addEventListener("scroll", hide, true);
  return () => {
    document.removeEventListener("mouseover", show);
    document.removeEventListener("focusin", show);
    document.removeEventListener("mouseout", left);
    document.removeEventListener("focusout", left);
    document.removeEventListener("keydown", escaped);
    document.removeEventListener("scroll", hide, true);
    tip.remove();
  };
}
