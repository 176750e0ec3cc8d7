// Lets one part of a page run when another has: a part that has run says so, and who follows it hears it. See follower.py.
const EVENT = "codescope-ran";
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const root = parentElement.host ?? parentElement;
  if (!data.follows) {
    if (root.ran !== undefined && root.ran !== data.run) document.dispatchEvent(new CustomEvent(EVENT));
    root.ran = data.run;
    return;
  }
  const heard = () => setTriggerValue("heard", true);
  document.addEventListener(EVENT, heard);
  return () => document.removeEventListener(EVENT, heard);
}
