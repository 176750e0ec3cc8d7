// Runs the fragment that mounts it again when the map says that the answer to a choice has been in sight for a moment.
export default function (component) {
  const settled = () => component.setTriggerValue("settled", true);
  document.addEventListener("codescope-settled", settled);
  return () => document.removeEventListener("codescope-settled", settled);
}
