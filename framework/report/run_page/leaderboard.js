// The leaderboard: filters by text and state, and selection of a row by pointer or keyboard.
(() => {
  const table = document.querySelector("table.leaderboard");
  if (table === null) return;
  const rows = sortable(table, () => reach());

  // The table is one stop of the Tab key: the selected row, else the first. The arrow keys move on from there.
  const buttons = new Map();
  rows.forEach((row) => {
    const name = row.querySelector(".trial code");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "choose";
    button.title = "Select this trial";
    name.before(button);
    button.append(name);
    button.addEventListener("click", () => page.toggle(row.dataset.trial));
    buttons.set(row, button);
  });
  const shown = () => rows.filter((row) => !row.classList.contains("is-out"));
  function reach() {
    const there = shown();
    const stop = there.find((row) => row.dataset.trial === page.held()) ?? there[0];
    for (const [row, button] of buttons) {
      button.tabIndex = row === stop ? 0 : -1;
      button.ariaPressed = String(row.dataset.trial === page.held());
    }
  }
  table.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const row = event.target.closest("tbody tr");
    if (step === undefined || row === null) return;
    const there = shown();
    const next = there[there.indexOf(row) + step];
    if (next === undefined) return;
    event.preventDefault();
    buttons.get(next).focus();
    next.scrollIntoView({ block: "nearest" });
  });
  page.changed(reach);
  reach();

  const tools = document.querySelector(".tools");
  const { text, state } = tools.elements;
  const output = tools.querySelector("output");
  const states = [...new Set(rows.map((row) => row.dataset.state))].sort();
  states.forEach((name) => state.append(new Option(name, name)));
  // The text of a row, and the reason why its trial failed, which the row only links to.
  const words = new Map(rows.map((row) => [row.dataset.trial, `${row.textContent} ${row.dataset.more}`.toLowerCase()]));
  const stateOf = new Map(rows.map((row) => [row.dataset.trial, row.dataset.state]));
  function filter() {
    const wanted = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    page.filter("text", wanted.length ? (trial) => wanted.every((word) => words.get(trial)?.includes(word)) : null);
    page.filter("state", state.value ? (trial) => stateOf.get(trial) === state.value : null);
  }
  page.changed(() => {
    const count = shown().length;
    output.textContent = `${count === rows.length ? "" : `${count} of `}${rows.length} trial${rows.length === 1 ? "" : "s"}`;
    tools.elements.all.hidden = !page.isFiltered();
  });
  tools.addEventListener("input", filter);
  tools.addEventListener("submit", (event) => event.preventDefault());
  tools.elements.all.addEventListener("click", () => {
    tools.reset();
    filter();
    document.dispatchEvent(new Event("brushes-away"));
  });
  tools.elements.all.hidden = true;
  tools.hidden = false;
})();
