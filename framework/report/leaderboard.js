// The leaderboard: sorted by a heading, filtered by text and state, a row chosen by pointer or keys.
(() => {
  const table = document.querySelector("table.leaderboard");
  if (table === null) return;
  const rows = [...table.tBodies[0].rows];
  const headings = [...table.tHead.rows[0].cells];
  const first = new Map(rows.map((row, index) => [row, index]));

  // What a cell is sorted by; null where there is nothing.
  function key(row, column, numeric) {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    return text === "" ? null : numeric ? Number(text) : text;
  }
  function sort(column) {
    const heading = headings[column];
    const numeric = heading.dataset.sort === "number";
    const before = heading.ariaSort ?? (heading.dataset.first === "descending" ? "ascending" : "descending");
    const direction = before === "ascending" ? -1 : 1;
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.ariaSort = direction === 1 ? "ascending" : "descending";
    const keys = new Map(rows.map((row) => [row, key(row, column, numeric)]));
    rows.sort((left, right) => {
      const [a, b] = [keys.get(left), keys.get(right)];
      if (a === null || b === null) return (a === null) - (b === null) || first.get(left) - first.get(right);
      const order = numeric ? a - b : a.localeCompare(b, "en", { numeric: true });
      return direction * order || first.get(left) - first.get(right);
    });
    table.tBodies[0].append(...rows);
    reach();
  }
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    const title = document.createElement("span");
    title.append(heading.firstChild);
    button.append(title, ...heading.childNodes);
    button.addEventListener("click", () => sort(column));
    heading.append(button);
  });

  // One stop of the Tab key: the chosen row, else the first; the arrows go on from there.
  const buttons = new Map();
  rows.forEach((row) => {
    const name = row.querySelector(".trial code");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "choose";
    button.title = "Choose this trial";
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
  // All that a row says, and why its trial failed, which the row only points to.
  const words = new Map(rows.map((row) => [row.dataset.trial, `${row.textContent} ${row.dataset.more}`.toLowerCase()]));
  const stateOf = new Map(rows.map((row) => [row.dataset.trial, row.dataset.state]));
  function filter() {
    const wanted = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    page.filter("text", wanted.length ? (trial) => wanted.every((word) => words.get(trial)?.includes(word)) : null);
    page.filter("state", state.value ? (trial) => stateOf.get(trial) === state.value : null);
  }
  page.changed(() => {
    const count = shown().length;
    output.textContent = count === rows.length ? `${count} trials` : `${count} of ${rows.length} trials`;
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
