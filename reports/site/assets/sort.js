// Sorts the rows of tables by a click on a heading, or Enter or Space on it: up, down, and as they were.
"use strict";

for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  if (rows.length < 2) continue;
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sort(head, column));
  });

  function sort(head, column) {
    const next = { none: "ascending", ascending: "descending", descending: "none" };
    const order = next[head.getAttribute("aria-sort") ?? "none"];
    for (const other of heads) other.removeAttribute("aria-sort");
    if (order !== "none") head.setAttribute("aria-sort", order);
    body.append(...(order === "none" ? rows : sorted(column, order === "ascending" ? 1 : -1)));
  }

  // what is missing stays last, whichever way; numbers count as such where the whole column is of them
  function sorted(column, sign) {
    const missing = (row) => ["", "-", "–"].includes(text(row));
    const text = (row) => row.cells[column].textContent.trim();
    const value = (row) => Number(row.cells[column].dataset.sort);
    const known = rows.filter((row) => !missing(row));
    const numbers = known.every((row) => "sort" in row.cells[column].dataset);
    const compare = numbers
      ? (one, other) => value(one) - value(other)
      : (one, other) => text(one).localeCompare(text(other), undefined, { numeric: true });
    known.sort((one, other) => sign * compare(one, other));
    return [...known, ...rows.filter(missing)];
  }
}
