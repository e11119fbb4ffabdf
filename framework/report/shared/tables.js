// Tables that are sorted by a click on a heading.
const sortable = (table, sorted = () => {}) => {
  const rows = [...table.tBodies[0].rows];
  const headings = [...table.tHead.rows[0].cells];
  const first = new Map(rows.map((row, index) => [row, index]));

  // The sort key of a cell; null for an empty cell.
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
    sorted();
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
  return rows; // kept in their current order
};
document.querySelectorAll("table.sortable").forEach((table) => sortable(table));
