"use strict";
document.querySelectorAll("#studies thead button").forEach((button, column) => {
  let up = false;
  button.addEventListener("click", () => {
    up = !up;
    const body = document.querySelector("#studies tbody");
    const key = (row) => {
      const cell = row.cells[column];
      return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
    };
    const order = (a, b) => {
      const x = key(a), y = key(b);
      if (typeof x === "number" && typeof y === "number") return x - y;
      return String(x).localeCompare(String(y), undefined, { numeric: true });
    };
    Array.from(body.rows).sort((a, b) => (up ? order(a, b) : order(b, a))).forEach((row) => body.appendChild(row));
  });
});
