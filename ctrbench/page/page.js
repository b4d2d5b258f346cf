"use strict";
(() => {
  // The URL fragment contains the state of sorting and filters: #sort=headline.3.descending&find=v7
  const state = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  const remember = (key, value) => {
    if (value) state.set(key, value); else state.delete(key);
    history.replaceState(null, "", `#${state}`);
  };

  const valueOf = (cell) => cell.dataset.value ?? cell.textContent.trim();
  const compare = (a, b) => {
    const [x, y] = [a, b].map(valueOf), [m, n] = [x, y].map(Number);
    return Number.isFinite(m) && Number.isFinite(n) ? m - n : x.localeCompare(y, "en", { numeric: true });
  };
  const isEmpty = (cell) => ["", "–"].includes(valueOf(cell));

  const sort = (table, column, order) => {
    const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const rows = [...body.rows].sort((one, two) => {
      const [a, b] = [one.cells[column], two.cells[column]];
      if (isEmpty(a) || isEmpty(b)) return isEmpty(a) - isEmpty(b);
      return sign * compare(a, b);
    });
    body.append(...rows);
  };

  for (const table of document.querySelectorAll("table")) {
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const numeric = head.classList.contains("number");
        const first = numeric ? "descending" : "ascending", second = numeric ? "ascending" : "descending";
        const order = head.getAttribute("aria-sort") === first ? second : first;
        sort(table, column, order);
        remember("sort", `${table.id}.${column}.${order}`);
      });
    });
  }
  const [id, column, order] = (state.get("sort") ?? "").split(".");
  const sorted = document.getElementById(id);
  if (sorted?.tHead?.rows[0].cells[column] && ["ascending", "descending"].includes(order)) sort(sorted, +column, order);

  const filters = document.getElementById("filters"), table = document.getElementById("headline");
  const apply = () => {
    const { find, mode, verdict } = Object.fromEntries(new FormData(filters));
    let shown = 0;
    for (const row of table.tBodies[0].rows) {
      const fits = row.cells[0].textContent.toLowerCase().includes(find.toLowerCase())
        && (!mode || row.cells[1].textContent === mode) && (!verdict || row.dataset.kind === verdict);
      row.hidden = !fits;
      shown += fits;
    }
    document.getElementById("count").textContent = `${shown} of ${table.tBodies[0].rows.length} shown`;
  };
  for (const field of filters.elements) if (state.has(field.name)) field.value = state.get(field.name);
  filters.addEventListener("input", (event) => { remember(event.target.name, event.target.value); apply(); });
  filters.addEventListener("submit", (event) => event.preventDefault());
  filters.hidden = false;
  apply();

  const lines = (table, value) => [...table.rows].filter((row) => !row.hidden)
    .map((row) => [...row.cells].map((cell) => (cell.tagName === "TD" ? value(cell) : cell.textContent.trim())));
  const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  for (const tools of document.querySelectorAll(".tools")) {
    const own = document.getElementById(tools.dataset.for), status = tools.querySelector(".status");
    tools.hidden = false;
    tools.addEventListener("click", async (event) => {
      const wanted = event.target.dataset.do;
      if (wanted === "copy") {
        const text = lines(own, (cell) => cell.textContent.trim()).map((line) => line.join("\t")).join("\n");
        try {
          await navigator.clipboard.writeText(text);
          status.textContent = "Copied.";
        } catch {
          status.textContent = "The browser does not allow copying; save the table instead.";
        }
      } else if (wanted === "save") {
        const text = lines(own, valueOf).map((line) => line.map(quoted).join(",")).join("\n");
        const link = document.createElement("a");
        link.href = URL.createObjectURL(new Blob([`${text}\n`], { type: "text/csv" }));
        link.download = `${tools.dataset.name.replace(/[^\w]+/g, "-")}.csv`;
        link.click();
        URL.revokeObjectURL(link.href);
      }
    });
  }

  const visit = (name) => {
    const section = document.getElementById(name);
    section?.scrollIntoView();
    section?.focus({ preventScroll: true });
  };
  for (const link of document.querySelectorAll('a[href^="#"]')) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const name = link.getAttribute("href").slice(1);
      remember("section", name);
      visit(name);
    });
  }
  if (state.has("section")) visit(state.get("section"));
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => { one.open = true; }));
})();
