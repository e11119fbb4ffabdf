"use strict";
// What the scripts add: a trial is highlighted everywhere, values appear under the pointer, tables can be sorted and
// filtered, ranges can be selected on axes, and pictures enlarged. Without scripts the page shows all its content.
// This file keeps the state that the others use: the trial under the pointer, the selected one, and the filters.
const page = (() => {
  const body = document.body;
  const tip = document.getElementById("tip");
  const chosen = document.getElementById("chosen");
  const filters = new Map();
  const listeners = [];
  const parts = new Map();
  let held = null;
  let active = null;
  body.classList.add("has-script");
  document.querySelectorAll("[data-trial]").forEach((part) => {
    const trial = part.dataset.trial;
    if (!parts.has(trial)) parts.set(trial, []);
    parts.get(trial).push(part);
  });
  const partsOf = (trial) => parts.get(trial) ?? [];
  const mark = (trial, name, on) => partsOf(trial).forEach((part) => part.classList.toggle(name, on));

  // Highlights a trial while the pointer is on it; null highlights the selected one again.
  function point(trial) {
    const next = trial ?? held;
    if (next === active) return;
    mark(active, "is-active", false);
    mark(next, "is-active", true);
    active = next;
    body.classList.toggle("has-active", next !== null);
  }

  function choose(trial) {
    mark(held, "is-held", false);
    held = trial;
    mark(held, "is-held", true);
    body.classList.toggle("has-held", held !== null);
    point(null);
    bar();
    listeners.forEach((listener) => listener(held));
  }
  const toggle = (trial) => choose(held === trial ? null : trial);

  // The bar at the foot of the page: the selected trial, with links to its parts.
  function bar() {
    chosen.hidden = held === null;
    if (held === null) return;
    const row = partsOf(held).find((part) => part.matches("tr[data-state]"));
    const label = partsOf(held).find((part) => part.dataset.label)?.dataset.label ?? "";
    chosen.querySelector("b").textContent = held;
    const rank = row?.cells[0].textContent.trim() ?? "–";
    const failed = partsOf(held).find((part) => part.closest(".failures"))?.querySelector(".reason").textContent;
    chosen.querySelector("span").textContent = failed ?? (rank === "–" ? label : `rank ${rank} · ${label}`);
    chosen.querySelector(".swatch").className = row?.querySelector(".swatch").className ?? "swatch";
    chosen.querySelectorAll("[data-part]").forEach((link) => (link.hidden = target(link.dataset.part) === null));
  }
  const WHERE = { row: "tr[data-state]", curve: ".curve", line: ".path", picture: "figure" };
  function target(part) {
    const found = partsOf(held).filter((element) => element.matches(WHERE[part]));
    return found.find((element) => element.getClientRects().length) ?? null;
  }
  chosen.querySelectorAll("[data-part]").forEach((link) =>
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const found = target(link.dataset.part);
      (found?.closest(".chart") ?? found)?.scrollIntoView({ block: "center" });
    }),
  );
  chosen.querySelector("button").addEventListener("click", () => choose(null));

  // A filter says which trials are shown; null removes the filter. A trial is shown if all filters keep it.
  function filter(name, keeps) {
    if (keeps === null) filters.delete(name);
    else filters.set(name, keeps);
    let shown = 0;
    for (const [trial, elements] of parts) {
      const out = [...filters.values()].some((keep) => !keep(trial));
      elements.forEach((part) => part.classList.toggle("is-out", out));
      if (!out && elements.some((part) => part.matches("tr[data-state]"))) shown += 1;
    }
    listeners.forEach((listener) => listener(held));
    return shown;
  }
  const isFiltered = () => filters.size > 0;
  const isOut = (trial) => partsOf(trial)[0]?.classList.contains("is-out") ?? false;

  function showTip(event, heading, text) {
    tip.hidden = false;
    tip.replaceChildren(document.createElement("b"), text);
    tip.firstChild.textContent = heading;
    const right = event.clientX > window.innerWidth - 240;
    tip.style.left = right ? "auto" : `${event.clientX + 14}px`;
    tip.style.right = right ? `${window.innerWidth - event.clientX + 14}px` : "auto";
    tip.style.top = `${event.clientY + 14}px`;
  }
  const hideTip = () => (tip.hidden = true);
  const inside = (svg, event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());

  document.querySelectorAll(".legend [data-trial], tr[data-trial], .life, .copy").forEach((part) => {
    part.addEventListener("pointerenter", () => point(part.dataset.trial));
    part.addEventListener("pointerleave", () => point(null));
    part.addEventListener("click", (event) => {
      // Selecting text to copy it, or clicking a link, does not select the trial.
      if (event.target.closest("a, button:not([data-hold])") || !window.getSelection().isCollapsed) return;
      toggle(part.dataset.trial);
    });
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && held !== null) choose(null);
  });

  // Scrolls the box of samples to those of the selected trial, without scrolling the page.
  listeners.push((trial) => {
    const box = document.querySelector(".finals.tall");
    const figure = partsOf(trial).find((part) => part.matches("figure"));
    if (!box || !figure) return;
    box.scrollTop += figure.getBoundingClientRect().top - box.getBoundingClientRect().top - 40;
  });

  return {
    point, choose, toggle, filter, isFiltered, isOut, partsOf, showTip, hideTip, inside,
    held: () => held,
    active: () => active,
    changed: (listener) => listeners.push(listener),
  };
})();
