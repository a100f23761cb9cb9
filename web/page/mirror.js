// What the viewer shows, as text beside the canvas: a screen reader finds one unnamed picture there otherwise. Everything is
// out of sight and no stop of the tab key; what changes is read aloud by itself.

const SECONDS = 0.5;

function fill(id, text) {
  const element = document.getElementById(id);
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

function row(cells) {
  const line = document.createElement("tr");
  cells.forEach((text, place) => {
    const cell = document.createElement(place === 0 ? "th" : "td");
    if (place === 0) {
      cell.scope = "row";
    }
    cell.textContent = text;
    line.append(cell);
  });
  return line;
}

/// Keeps the mirror true. `viewer` are the bindings of the program.
export function keepMirror(viewer) {
  const still = matchMedia("(prefers-reduced-motion: reduce)");
  const contrast = matchMedia("(forced-colors: active), (prefers-contrast: more)");
  const needs = () => viewer.needs(still.matches, contrast.matches);
  [still, contrast].forEach((query) => query.addEventListener("change", needs));
  needs();
  for (const button of document.querySelectorAll("#mirror button")) {
    button.addEventListener("click", () => viewer.act(button.value));
  }
  let last = "";
  setInterval(() => {
    const text = document.hidden ? "" : viewer.mirror();
    if (text === "" || text === last) {
      return;
    }
    last = text;
    const shown = JSON.parse(text);
    fill("mirror-scan", shown.scan);
    fill("mirror-view", shown.view);
    fill("mirror-run", shown.run);
    fill("mirror-notices", shown.notices.join(" "));
    const rows = shown.organs.map(row);
    document.querySelector("#mirror tbody").replaceChildren(...rows);
    document.querySelector("#mirror table").hidden = rows.length === 0;
  }, SECONDS * 1000);
}
