// Parallel coordinates: shows the trial under the pointer; ranges dragged along the axes filter the whole page.
(() => {
  const brushes = new Map(); // key of an axis -> [top, bottom] of the range as shares of its height, 0 at the top
  const drawings = [...document.querySelectorAll(".parallel svg")].map((svg) => {
    const [top, bottom] = svg.dataset.span.split(" ").map(Number);
    const axes = [...svg.querySelectorAll(".upright")];
    const lines = [...svg.querySelectorAll(".path")].map((part) => ({
      trial: part.dataset.trial,
      label: part.dataset.label,
      points: [...part.firstElementChild.points].map(({ x, y }) => [x, y]),
    }));
    return { svg, top, bottom, axes, lines };
  });
  if (drawings.length === 0) return;
  const heights = new Map(); // trial -> key -> share of the axis's height
  const { top, bottom, axes, lines } = drawings[0];
  lines.forEach(({ trial, points }) =>
    heights.set(trial, new Map(axes.map((axis, at) => [axis.dataset.key, (points[at][1] - top) / (bottom - top)]))),
  );

  function apply() {
    const keeps = (trial) =>
      [...brushes].every(([key, [high, low]]) => {
        const height = heights.get(trial)?.get(key);
        return height !== undefined && height >= high - 0.004 && height <= low + 0.004;
      });
    page.filter("brush", brushes.size ? keeps : null);
    drawings.forEach((drawing) =>
      drawing.axes.forEach((axis) => {
        const [high, low] = brushes.get(axis.dataset.key) ?? [0, 0];
        const box = axis.querySelector(".brush");
        const span = drawing.bottom - drawing.top;
        box.setAttribute("y", drawing.top + high * span);
        box.setAttribute("height", (low - high) * span);
      }),
    );
  }
  document.addEventListener("brushes-away", () => {
    brushes.clear();
    apply();
  });

  // The line nearest to a point, compared by height between the two axes next to the point.
  function nearest(drawing, at) {
    const xs = drawing.axes.map((axis) => Number(axis.dataset.x));
    const right = xs.findIndex((x) => x >= at.x);
    if (right < 1) return null;
    const part = (at.x - xs[right - 1]) / (xs[right] - xs[right - 1]);
    let found = null;
    let least = 9;
    for (const line of drawing.lines) {
      if (page.isOut(line.trial)) continue;
      const distance = Math.abs(line.points[right - 1][1] * (1 - part) + line.points[right][1] * part - at.y);
      if (distance <= least) [found, least] = [line, distance];
    }
    return found;
  }

  drawings.forEach((drawing) => {
    const { svg, axes } = drawing;
    let drag = null;
    const part = (event) =>
      Math.min(1, Math.max(0, (page.inside(svg, event).y - drawing.top) / (drawing.bottom - drawing.top)));

    axes.forEach((axis) => {
      const handle = axis.querySelector(".handle");
      handle.addEventListener("pointerdown", (event) => {
        handle.setPointerCapture(event.pointerId);
        drag = { key: axis.dataset.key, from: part(event) };
        brushes.delete(drag.key);
        apply();
      });
      handle.addEventListener("pointermove", (event) => {
        if (drag === null) return;
        const ends = [drag.from, part(event)].sort((a, b) => a - b);
        if (ends[1] - ends[0] < 0.01) return;
        brushes.set(drag.key, ends);
        apply();
      });
      for (const end of ["pointerup", "pointercancel"]) handle.addEventListener(end, () => (drag = null));
    });
    svg.addEventListener("pointermove", (event) => {
      const line = drag === null ? nearest(drawing, page.inside(svg, event)) : null;
      page.point(line?.trial ?? null);
      if (line === null) return page.hideTip();
      const [score, ...settings] = line.label.split(" · ");
      page.showTip(event, score, settings.join(" · "));
    });
    svg.addEventListener("pointerleave", () => {
      page.hideTip();
      page.point(null);
    });
    svg.addEventListener("click", (event) => {
      if (event.target.closest(".handle") === null) page.toggle(nearest(drawing, page.inside(svg, event))?.trial ?? null);
    });
  });
})();
