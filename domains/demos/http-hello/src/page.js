const keys = ["frames_in", "bytes_in", "frames_out", "bytes_out", "dropped"];
async function update() {
  const { ports } = await (await fetch("counters.json")).json();
  document.querySelectorAll("tbody tr").forEach((row, i) =>
    row.querySelectorAll(".n").forEach((cell, j) => (cell.textContent = ports[i][keys[j]])));
}
setInterval(() => update().catch(() => {}), 1000);
