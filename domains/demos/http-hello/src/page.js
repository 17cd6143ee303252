async function update(body) {
  const { from, list } = body.dataset;
  const all = (await (await fetch(from)).json())[list];
  [...body.rows].forEach((row, i) =>
    row.querySelectorAll("[data-key]").forEach((cell) => (cell.textContent = all[i][cell.dataset.key])));
}
setInterval(() => document.querySelectorAll("tbody").forEach((body) => update(body).catch(() => {})), 1000);
