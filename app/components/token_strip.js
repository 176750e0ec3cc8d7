// A text whose tokens can be pointed at. See token_strip.py.
const BREAKS = /^[·⏎␍⇥⍽]/;  // a token that begins with the stand-in of a space begins a word
const LONGEST = 12;  // tokens of a word; a longer one may be broken
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  let root = parentElement.querySelector(".root");
  if (!root) {
    root = document.createElement("div"); root.className = "root"; parentElement.appendChild(root);
  }
  const strip = document.createElement("div");
  strip.className = "strip"; strip.setAttribute("role", "group");
  strip.setAttribute("aria-label", data.alt || "tokens");
  const tip = document.createElement("div");
  tip.className = "tip"; tip.setAttribute("aria-live", "polite"); tip.textContent = data.hint || "";
  let word = null;  // tokens of one word, between which a line is never broken
  (data.tokens || []).forEach((token, index) => {
    const piece = (kind, text, into) => {
      const made = document.createElement("span");
      made.className = kind; made.textContent = text; into.appendChild(made);
    };
    if (token.gap) piece("gap", token.gap, strip);
    if (!word || token.gap || BREAKS.test(token.text) || word.childElementCount >= LONGEST) {
      word = strip.appendChild(document.createElement("span"));
      word.className = "word";
    }
    const button = document.createElement("button");
    button.type = "button"; button.className = "t" + (index === data.selected ? " on" : "");
    button.style.setProperty("--a", String(token.strength || 0));
    button.textContent = token.text;
    if (token.tag) piece("tag", token.tag, button);
    const show = () => { tip.textContent = token.tip || ""; };
    button.addEventListener("mouseenter", show); button.addEventListener("focus", show);
    button.addEventListener("click", () => {
      for (const other of strip.querySelectorAll(".on")) other.classList.remove("on");
      button.classList.add("on");
      setTriggerValue("picked", index);
    });
    word.appendChild(button);
  });
  strip.addEventListener("mouseleave", () => { tip.textContent = data.hint || ""; });
  root.replaceChildren(strip, tip);
}
