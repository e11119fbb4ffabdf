// Line charts: shows the value under the pointer and its trial.
(() => {
  const amount = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
  const count = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

  document.querySelectorAll(".chart svg[data-x]").forEach((svg) => {
    const [xLow, xHigh, xStart, xEnd] = svg.dataset.x.split(" ").map(Number);
    const [yLow, yHigh, yStart, yEnd, log] = svg.dataset.y.split(" ").map(Number);
    let points = null;

    function read() {
      points = [];
      svg.querySelectorAll(".curve").forEach((curve) => {
        const add = (x, y) => points.push({ x, y, trial: curve.dataset.trial, label: curve.dataset.label });
        curve.querySelectorAll("polyline").forEach((line) => {
          for (const point of line.points) add(point.x, point.y);
        });
        curve.querySelectorAll("circle").forEach((dot) => add(dot.cx.baseVal.value, dot.cy.baseVal.value));
      });
    }
    function value(y) {
      const part = (y - yStart) / (yEnd - yStart);
      return log ? yLow * (yHigh / yLow) ** part : yLow + part * (yHigh - yLow);
    }
    svg.addEventListener("pointermove", (event) => {
      if (points === null) read();
      const at = page.inside(svg, event);
      let nearest = null;
      let least = 24 ** 2;
      for (const point of points) {
        const distance = (point.x - at.x) ** 2 + (point.y - at.y) ** 2;
        if (distance >= least || page.isOut(point.trial)) continue;
        if (page.held() !== null && point.trial !== page.held()) continue;
        [nearest, least] = [point, distance];
      }
      page.point(nearest?.trial ?? null);
      if (nearest === null) return page.hideTip();
      const along = xLow + ((nearest.x - xStart) / (xEnd - xStart)) * (xHigh - xLow);
      page.showTip(event, amount.format(value(nearest.y)), `${nearest.label} · ${count.format(along)} ${svg.dataset.against}`);
    });
    svg.addEventListener("pointerleave", () => {
      page.hideTip();
      page.point(null);
    });
    svg.addEventListener("click", () => page.toggle(page.active()));
  });
})();
