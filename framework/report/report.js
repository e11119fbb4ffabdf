"use strict";
// All that scripts add: one trial picked out everywhere, values under the pointer, enlarged pictures. Without them
// the page is whole.
(() => {
  const body = document.body;
  const tip = document.getElementById("tip");
  let held = null;

  function activate(trial) {
    document.querySelectorAll(".is-active").forEach((part) => part.classList.remove("is-active"));
    body.classList.toggle("has-active", trial !== null);
    if (trial === null) return;
    document.querySelectorAll("[data-trial]").forEach((part) => {
      if (part.dataset.trial === trial) part.classList.add("is-active");
    });
  }
  const trialOf = (target) => target.closest?.("[data-trial]")?.dataset.trial ?? null;

  document.querySelectorAll(".legend [data-trial], tr[data-trial]").forEach((part) => {
    part.addEventListener("pointerenter", () => activate(part.dataset.trial));
    part.addEventListener("pointerleave", () => activate(held));
    part.addEventListener("click", () => {
      held = held === part.dataset.trial ? null : part.dataset.trial;
      activate(held);
    });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") activate((held = null));
  });

  const amount = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
  const count = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

  document.querySelectorAll(".chart svg").forEach((svg) => {
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
      const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      let nearest = null;
      let least = 24 ** 2;
      for (const point of points) {
        if (held !== null && point.trial !== held) continue;
        const distance = (point.x - at.x) ** 2 + (point.y - at.y) ** 2;
        if (distance < least) [nearest, least] = [point, distance];
      }
      tip.hidden = nearest === null;
      activate(nearest === null ? held : nearest.trial);
      if (nearest === null) return;
      const images = xLow + ((nearest.x - xStart) / (xEnd - xStart)) * (xHigh - xLow);
      tip.replaceChildren(document.createElement("b"), `${nearest.label} · ${count.format(images)} images`);
      tip.firstChild.textContent = amount.format(value(nearest.y));
      const right = event.clientX > window.innerWidth - 240;
      tip.style.left = right ? "auto" : `${event.clientX + 14}px`;
      tip.style.right = right ? `${window.innerWidth - event.clientX + 14}px` : "auto";
      tip.style.top = `${event.clientY + 14}px`;
    });
    svg.addEventListener("pointerleave", () => {
      tip.hidden = true;
      activate(held);
    });
    svg.addEventListener("click", (event) => {
      const trial = trialOf(event.target) ?? document.querySelector(".curve.is-active")?.dataset.trial ?? null;
      held = held === trial ? null : trial;
      activate(held);
    });
  });

  const dialog = document.getElementById("zoom");
  const large = dialog.querySelector("img");
  document.querySelectorAll("[data-zoom]").forEach((button) =>
    button.addEventListener("click", () => {
      const picture = button.querySelector("img");
      [large.src, large.alt] = [picture.src, picture.alt];
      dialog.showModal();
    }),
  );
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog || event.target === large) dialog.close();
  });

  window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => (part.open = true)));
})();
