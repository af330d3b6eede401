// Draws Tidegate's tab of Locust's page: notice, verdict, budgets and charts, above Locust's table.
// The section is placed after the bar of tabs, as a node that Locust's own script does not know.

(() => {
  "use strict";
  const EVERY_MS = 2000;
  const WIDTH = 340, HEIGHT = 150, LEFT = 46, RIGHT = 8, TOP = 8, BOTTOM = 22;
  const STYLES = [["", ""], ["second", "7 4"], ["third", "2 4"]];
  const root = document.getElementById("root");
  const host = document.createElement("section");
  host.id = "tidegate";
  host.setAttribute("aria-label", "Tidegate");
  let run = "", points = [], isAsking = false;

  function make(tag, text, className) {
    const element = document.createElement(tag);
    if (text !== undefined) element.textContent = text;
    if (className) element.className = className;
    return element;
  }

  function draw(tag, attributes, text) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    return element;
  }

  // Locust unmounts its panel when another tab is chosen; the section goes and comes with it.
  function place() {
    const list = root.querySelector('[role="tablist"]');
    const chosen = list && list.querySelector('[aria-selected="true"]');
    if (!chosen || chosen.textContent.trim() !== "Tidegate") {
      if (host.isConnected) host.remove();
      return;
    }
    const container = list.closest(".MuiContainer-root") || list.parentElement.parentElement;
    let bar = list;
    while (bar.parentElement !== container) bar = bar.parentElement;
    if (bar.nextElementSibling !== host) {
      bar.after(host);
      ask();
    }
  }

  function isDark() {
    const numbers = (getComputedStyle(document.body).backgroundColor.match(/[\d.]+/g) || []).map(Number);
    return numbers.length >= 3 && numbers[0] + numbers[1] + numbers[2] < 382;
  }

  function shown(value) {
    if (value === null || value === undefined) return "–";
    if (value !== 0 && Math.abs(value) < 100 && !Number.isInteger(value)) return String(Number(value.toPrecision(3)));
    return Math.round(value).toLocaleString("en");
  }

  function roundUp(value) {
    if (!(value > 0)) return 1;
    const step = 10 ** Math.floor(Math.log10(value));
    return [1, 2, 2.5, 5, 10].map((factor) => factor * step).find((one) => one >= value * 0.999);
  }

  function chart({ title, unit, lines }, first) {
    const figure = make("figure");
    figure.append(make("figcaption", unit ? `${title}, ${unit}` : title));
    const legend = make("div", undefined, "legend");
    const series = lines.map((line, place) =>
      points.map((row) => [row[0], row[1 + first + place] === null ? null : row[1 + first + place] / line.per]));
    const values = series.flat().map(([, value]) => value).filter((value) => value !== null);
    figure.append(legend);
    lines.forEach((line, place) => {
      const item = make("span", `${line.name} ${shown(series[place].findLast(([, value]) => value !== null)?.[1])}`, STYLES[place][0]);
      item.style.setProperty("--line", `var(--line-${place + 1})`);
      legend.append(item);
    });
    if (!values.length) {
      figure.append(make("p", "Not measured yet.", "soft"));
      return figure;
    }
    const most = roundUp(Math.max(...values));
    const from = points[0][0], to = Math.max(points.at(-1)[0], from + 10);
    const x = (t) => LEFT + ((t - from) / (to - from)) * (WIDTH - LEFT - RIGHT);
    const y = (value) => TOP + (1 - value / most) * (HEIGHT - TOP - BOTTOM);
    const svg = draw("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}: ${legend.textContent}` });
    for (const level of [0, most / 2, most]) {
      svg.append(draw("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(level), y2: y(level) }));
      svg.append(draw("text", { x: LEFT - 6, y: y(level) + 4, "text-anchor": "end" }, shown(level)));
    }
    svg.append(draw("text", { x: LEFT, y: HEIGHT - 5 }, `${Math.round(from)} s`));
    svg.append(draw("text", { x: WIDTH - RIGHT, y: HEIGHT - 5, "text-anchor": "end" }, `${Math.round(to)} s`));
    series.forEach((line, place) => {
      let path = "", isOn = false;
      for (const [t, value] of line) {
        if (value !== null) path += `${isOn ? "L" : "M"}${x(t).toFixed(1)} ${y(value).toFixed(1)}`;
        isOn = value !== null;
      }
      svg.append(draw("path", { d: path, stroke: `var(--line-${place + 1})`, "stroke-dasharray": STYLES[place][1] }));
    });
    figure.append(svg);
    return figure;
  }

  function verdict(state) {
    const box = make("div", undefined, "verdict");
    box.setAttribute("role", "status");
    if (!state.verdict) {
      box.append(make("span", state.ending));
      return box;
    }
    box.classList.add(state.verdict.verdict);
    box.append(make("strong", state.verdict.verdict));
    if (state.verdict.report) {
      const link = make("a", "Open the report");
      link.href = state.verdict.report;
      link.target = "_blank";
      box.append(link);
    }
    const reasons = make("ul");
    for (const reason of state.verdict.reasons) reasons.append(make("li", reason));
    box.append(reasons);
    return box;
  }

  function budgets(rows) {
    const table = make("table");
    const head = make("tr");
    for (const [title, kind] of [["Budget", ""], ["Present state", ""], ["Now", "now"]]) head.append(make("th", title, kind));
    table.append(make("thead"));
    table.tHead.append(head);
    const body = table.createTBody();
    for (const { text, state, now } of rows) {
      const row = body.insertRow();
      row.append(make("td", text), make("td", state, { "kept so far": "good", "broken so far": "bad" }[state] || "soft"));
      row.append(make("td", now, "now"));
    }
    return table;
  }

  function describe({ run, phase, t_s, ending, verdict }) {
    if (!phase) return `Run ${run}`;
    const where = ending || verdict ? "ended" : phase;
    return `Run ${run}, ${where}, ${Math.round(t_s)} s since its start`;
  }

  function render(state) {
    host.classList.toggle("dark", isDark());
    const parts = [make("p", state.notice, "notice")];
    if (!state.run) parts.push(make("p", "No run yet.", "soft"));
    if (state.run) parts.push(make("p", describe(state), "soft"));
    if (state.ending || state.verdict) parts.push(verdict(state));
    if (points.length) {
      const grid = make("div", undefined, "charts");
      let first = 0;
      for (const one of state.charts) {
        grid.append(chart(one, first));
        first += one.lines.length;
      }
      parts.push(make("h2", "Over time"), grid);
    }
    if (state.budgets.length) {
      parts.push(make("h2", "Budgets"), budgets(state.budgets));
      parts.push(make("p", "The report decides each budget from the whole run. Here a time is the quantile of the steady seconds so far.", "soft"));
    }
    if (state.run) parts.push(make("h2", "Newest second"));
    host.replaceChildren(...parts);
  }

  async function ask() {
    if (isAsking || !host.isConnected) return;
    isAsking = true;
    try {
      const after = points.length ? points.at(-1)[0] : -1;
      const answer = await fetch(`./tidegate/state.json?run=${encodeURIComponent(run)}&after=${after}`);
      if (!answer.ok) return;
      const state = await answer.json();
      if (state.run !== run) [run, points] = [state.run, []];
      points.push(...state.points);
      render(state);
    } catch (error) {
      // Locust has ended, or does not answer now: the page keeps what it shows.
      if (!(error instanceof TypeError)) throw error;
    } finally {
      isAsking = false;
    }
  }

  new MutationObserver(place).observe(root, {
    childList: true, subtree: true, attributes: true, attributeFilter: ["aria-selected"],
  });
  setInterval(ask, EVERY_MS);
  place();
})();
