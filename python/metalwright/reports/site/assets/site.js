// The report's behaviour: charts in the page's colours, the table of problems sorted and filtered.
"use strict";

const dark = matchMedia("(prefers-color-scheme: dark)");

function colour(name) {
  const key = typeof name === "number" ? `--c${name}` : `--${name}`;
  return getComputedStyle(document.documentElement).getPropertyValue(key).trim();
}

// The page's colours over plotly's own JSON; made anew when light turns to dark.
function dressed(chart, narrow) {
  const text = colour("text"), lines = colour("line"), muted = colour("muted");
  const traces = chart.traces.map((trace) => {
    const own = colour(trace.meta.color);
    const made = { ...trace, marker: { ...trace.marker, color: own } };
    if (trace.type !== "bar") made.line = { ...trace.line, color: own };
    if (trace.error_y) made.error_y = { ...trace.error_y, color: trace.type === "bar" ? text : own };
    return made;
  });
  const axis = (given) => ({
    automargin: true, gridcolor: lines, zerolinecolor: lines, linecolor: lines, fixedrange: true, ...given,
  });
  const layout = {
    ...chart.layout,
    autosize: true,
    margin: { l: 48, r: 12, t: 8, b: 40 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: text, family: "system-ui, sans-serif", size: narrow ? 11 : 12 },
    legend: { orientation: "h", y: 1.03, yanchor: "bottom", x: 0 },
    hoverlabel: { namelength: -1 },
    xaxis: axis(chart.layout.xaxis),
    yaxis: axis(chart.layout.yaxis),
    shapes: (chart.layout.shapes || []).map((shape) => ({ ...shape, line: { ...shape.line, color: muted } })),
  };
  return [traces, layout];
}

function drawCharts() {
  const options = { responsive: true, displayModeBar: false };
  const draw = (place) => {
    const chart = JSON.parse(document.getElementById(place.dataset.chart).textContent);
    const [traces, layout] = dressed(chart, place.clientWidth < 480);
    // eslint-disable-next-line no-undef
    Plotly.react(place, traces, layout, options).then(() => place.classList.add("drawn"));
  };
  // A chart that nobody has scrolled to costs nothing.
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      seen.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "400px" });
  const places = document.querySelectorAll("[data-chart]");
  places.forEach((place) => seen.observe(place));
  dark.addEventListener("change", () => places.forEach((place) => place.classList.contains("drawn") && draw(place)));
  addEventListener("beforeprint", () => places.forEach(draw));
}

function sortable(table) {
  const body = table.tBodies[0];
  const compare = new Intl.Collator("en", { numeric: true });
  const value = (row, index, kind) => {
    const cell = row.cells[index];
    if (kind === "text") return cell.textContent.trim();
    const text = "value" in cell.dataset ? cell.dataset.value : cell.textContent.trim();
    return text === "" || text === "-" ? NaN : Number(text);
  };
  const sort = (header, down) => {
    const index = header.cellIndex, kind = header.dataset.sort, sign = down ? -1 : 1;
    const keyed = [...body.rows].map((row) => [value(row, index, kind), row]);
    keyed.sort(([a], [b]) => {
      if (kind === "text") return sign * compare.compare(a, b);
      // What has no number stands last, whichever way is up.
      if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
      return sign * (a - b);
    });
    body.append(...keyed.map(([, row]) => row));
    for (const other of table.tHead.querySelectorAll("[data-sort]")) other.setAttribute("aria-sort", "none");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
  };
  for (const header of table.tHead.querySelectorAll("[data-sort]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    header.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => sort(header, header.getAttribute("aria-sort") === "ascending"));
  }
}

function filterable(table) {
  const field = (name) => document.getElementById(`filter-${name}`);
  const names = ["name", "level", "status", "speed", "model", "mark", "run"].filter(field);
  const rows = [...table.tBodies[0].rows];
  const fits = (row, name, wanted) => {
    if (name === "name") return row.dataset.name.includes(wanted.toLowerCase());
    if (name === "mark") return row.dataset.marks.split("|").includes(wanted);
    return row.dataset[name] === wanted;
  };
  const apply = () => {
    let shown = 0;
    for (const row of rows) {
      row.hidden = !names.every((name) => field(name).value === "" || fits(row, name, field(name).value));
      shown += !row.hidden;
    }
    document.getElementById("filter-count").textContent = `${shown} of ${rows.length} shown`;
  };
  // Some readers' tools change a choice without the event that typing gives.
  for (const event of ["input", "change"]) names.forEach((name) => field(name).addEventListener(event, apply));
  document.getElementById("filter-clear").addEventListener("click", () => {
    names.forEach((name) => { field(name).value = ""; });
    apply();
    field("name").focus();
  });
  // A browser keeps what was chosen when one comes back to the page.
  addEventListener("pageshow", apply);
}

// A link to an attempt opens it.
function openTarget() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) target.open = true;
}

drawCharts();
const table = document.getElementById("problem-table");
if (table) { sortable(table); filterable(table); }
openTarget();
addEventListener("hashchange", openTarget);
