// Says under the figure what lies under the pointer. The page is complete without it.
(() => {
  const figure = document.getElementById("body");
  const out = document.getElementById("readout");
  const hair = document.getElementById("hair");
  const source = document.getElementById("rows");
  if (!figure || !out || !hair || !source) return;
  const d = JSON.parse(source.textContent);
  out.hidden = false;
  const idle = "Point at the figure to read its values.";
  out.textContent = idle;
  figure.addEventListener("pointermove", (event) => {
    const box = figure.getBoundingClientRect();
    const scale = figure.viewBox.baseVal.width / box.width;
    const x = (event.clientX - box.left) * scale;
    const y = (event.clientY - box.top) * scale;
    const k = d.slices - 1 - Math.floor((y - d.top) / d.step);
    if (k < 0 || k >= d.slices) {
      hair.setAttribute("visibility", "hidden");
      out.textContent = idle;
      return;
    }
    const middle = d.top + (d.slices - 1 - k + 0.5) * d.step;
    hair.setAttribute("y1", middle);
    hair.setAttribute("y2", middle);
    hair.setAttribute("visibility", "visible");
    const parts = [`z ${d.mm[k].toFixed(1).replace("-", "\u2212")} mm`, `slice ${k + 1}`];
    const regions = d.regions[k];
    if (regions && regions.some((p) => p > 0)) {
      const best = regions.indexOf(Math.max(...regions));
      parts.push(`${d.regionNames[best]} ${regions[best].toFixed(2)}`);
    }
    const c = d.column > 0 ? Math.floor((x - d.heat) / d.column) : -1;
    if (c >= 0 && c < d.organNames.length) {
      const a = d.attention[k];
      if (!d.known[c]) parts.push(`${d.organNames[c]}: not in these weights`);
      else if (a) parts.push(`attention of ${d.organNames[c]} ${a[c] < 0.01 && a[c] > 0 ? a[c].toPrecision(2) : a[c].toFixed(2)}`);
    }
    out.textContent = parts.join("  \u00b7  ");
  });
  figure.addEventListener("pointerleave", () => {
    hair.setAttribute("visibility", "hidden");
    out.textContent = idle;
  });
})();
