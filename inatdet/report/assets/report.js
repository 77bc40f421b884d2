"use strict";

// A click on a column's heading sorts the table by it: numbers by value, missing ones last.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const heading = button.parentElement;
    const body = heading.closest("table").tBodies[0];
    const column = heading.cellIndex;
    const falling = heading.classList.contains("number")
      ? heading.ariaSort !== "descending"
      : heading.ariaSort === "ascending";
    for (const other of heading.parentElement.cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
    const value = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
    const compare = (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (!heading.classList.contains("number")) return x.localeCompare(y) * (falling ? -1 : 1);
      if (x === "" || y === "") return (x === "") - (y === "");
      return (Number(x) - Number(y)) * (falling ? -1 : 1);
    };
    const rows = [...body.rows];
    const last = rows.filter((row) => row.classList.contains("overall"));
    body.append(...rows.filter((row) => !last.includes(row)).sort(compare), ...last);
  });
}

// Each line of a figure can be switched on and off, in all of its parts.
const show = (box) => {
  const name = box.dataset.switches;
  for (const line of document.querySelectorAll(`#${name}, .${name}`)) {
    line.classList.toggle("off", !box.checked);
  }
};
for (const box of document.querySelectorAll("[data-switches]")) {
  box.addEventListener("change", () => show(box));
}
for (const button of document.querySelectorAll("[data-all-lines]")) {
  button.addEventListener("click", () => {
    for (const box of button.parentElement.querySelectorAll("[data-switches]")) {
      box.checked = button.dataset.allLines === "on";
      show(box);
    }
  });
}

// The heat map shows one measure at a time.
const measure = document.getElementById("measure");
measure?.addEventListener("change", () => {
  for (const cell of document.querySelectorAll(".heat td[data-values]")) {
    const [text, depth] = JSON.parse(cell.dataset.values)[measure.value];
    cell.textContent = text;
    cell.style.setProperty("--depth", depth);
    cell.classList.toggle("deep", depth > 0.63);
  }
});

// The gallery shows the pictures of one choice, or all of them.
const choice = document.getElementById("choice");
choice?.addEventListener("change", () => {
  for (const figure of document.querySelectorAll(".gallery [data-chosen]")) {
    figure.hidden = choice.value !== "all" && figure.dataset.chosen !== choice.value;
  }
});
