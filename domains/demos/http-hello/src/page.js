const bodies = [...document.querySelectorAll("tbody")];
const files = [...new Set(bodies.map((body) => body.dataset.from))];
async function update(file) {
  const answer = await (await fetch(file, { signal: AbortSignal.timeout(5000) })).json();
  for (const body of bodies.filter((body) => body.dataset.from === file)) {
    const all = [answer[body.dataset.list]].flat();
    [...body.rows].forEach((row, i) =>
      row.querySelectorAll("[data-key]").forEach((cell) => (cell.textContent = all[i][cell.dataset.key] ?? "\u2013")));
  }
}
async function turn() {
  const turns = await Promise.allSettled(files.map(update));
  document.body.classList.toggle("stale", turns.some(({ status }) => status === "rejected"));
  setTimeout(turn, 1000);
}
setTimeout(turn, 1000);
