// SPDX-License-Identifier: MIT
// report.js - the interactive part of the page: the map with its strips, and the way from a position to
// a layer, an operation and its values. The data are described in report_html.h. Text of the data goes
// into the page as text nodes alone.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const report = data.report, positions = report.positions, n = positions.length;
  const $ = id => document.getElementById(id);

  /* ---- numbers and elements ---- */

  // Reals of the JSON report: NaN and the infinities are strings, null was not measured.
  const real = x => x === null || x === undefined ? null : Number(x);

  function shown(x) {
    if (x === null || x === -1) return "not measured";
    if (!Number.isFinite(x)) return Number.isNaN(x) ? "NaN" : x < 0 ? "-Inf" : "Inf";
    if (x === 0 || Number.isInteger(x) && Math.abs(x) < 1e6) return String(x);
    const a = Math.abs(x);
    return a < 1e-3 || a >= 1e5 ? x.toExponential(3) : x.toPrecision(5);
  }

  function element(tag, attributes, ...children) {
    const e = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {}))
      if (value !== null && value !== false) e.setAttribute(name, value === true ? "" : value);
    e.append(...children.filter(c => c !== null));
    return e;
  }

  // A number that can be read back exactly.
  function number(x) {
    if (x === null || x === -1) return element("span", { class: "unknown" }, "not measured");
    return element("data", { value: String(x) }, shown(x));
  }

  // A 32-bit float, in as many digits as tell it from its neighbours.
  function single(x) {
    if (!Number.isFinite(x)) return number(x);
    let digits = 6;
    while (digits < 9 && Math.fround(Number(x.toPrecision(digits))) !== x) digits++;
    return element("data", { value: String(x) }, String(Number(x.toPrecision(digits))));
  }

  const piece = id => data.texts[id] === undefined ? "" : data.texts[id];
  function token(id) {
    if (id === null) return number(null);
    return element("span", {}, String(id), piece(id) && " ", piece(id) && element("q", {}, piece(id)));
  }

  /* ---- the map ---- */

  const oracle = data.rho_tol !== undefined; // it was asked, too

  function bytes(text) {
    const raw = atob(text), out = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
    return out;
  }

  function doubles(x) {
    const out = new Float64Array(n);
    if (typeof x === "number") return out.fill(x);
    const view = new DataView(bytes(x).buffer);
    for (let i = 0; i < n; i++) out[i] = view.getFloat64(8 * i, true);
    return out;
  }

  // Of both engines against the oracle: s and r; the mode "oracle" is rho, the quotient of their errors, each at
  // least that of last bits.
  const fields = { isolated: "i", accumulated: "a", subject: "s", reference: "r" };
  function errors(row, mode) {
    const kept = row.kept || (row.kept = {});
    return kept[mode] || (kept[mode] = mode === "oracle" ? rho(row) : doubles(row[fields[mode]]));
  }

  function rho(row) {
    const s = errors(row, "subject"), r = errors(row, "reference"), least = data.rho_floor;
    return s.map((x, i) => x === -1 || Number.isNaN(x) ? x : Number.isNaN(r[i]) ? 0
      : Math.sqrt(Math.max(x, least) / Math.max(r[i], least)));
  }

  // The values kept of one cell: [index, subject, reference].
  function values(row, pos) {
    const counts = bytes(row.c), view = new DataView(bytes(row.w).buffer), out = [];
    let at = 0;
    for (let i = 0; i < pos; i++) at += 12 * counts[i];
    for (let k = 0; k < counts[pos]; k++, at += 12)
      out.push([view.getUint32(at, true), view.getFloat32(at + 4, true), view.getFloat32(at + 8, true)]);
    return out;
  }

  // Rows of the drawing: what lies before the layers, each layer, what lies behind.
  const groups = [];
  for (const row of data.map) {
    const last = groups[groups.length - 1];
    if (last && last.layer === row.layer) last.rows.push(row);
    else groups.push({
      layer: row.layer, rows: [row], worst: {},
      name: row.layer >= 0 ? "layer " + row.layer : groups.length ? "output" : "input",
    });
  }

  // Of a reference that is farther from the oracle as of a subject that is.
  const rank = (x, mode) => mode === "oracle" && x >= 0 ? Math.max(x, 1 / x) : x;

  // NaN is worse than any number, -1 is none.
  const worse = (a, b) => a !== -1 && !Number.isNaN(b) && (b === -1 || Number.isNaN(a) || a > b);

  function worst(group, mode) {
    if (group.worst[mode]) return group.worst[mode];
    const error = new Float64Array(n).fill(-1), at = new Uint16Array(n);
    group.rows.forEach((row, k) => {
      const e = errors(row, mode);
      for (let i = 0; i < n; i++) if (worse(rank(e[i], mode), rank(error[i], mode))) error[i] = e[i], at[i] = k;
    });
    return group.worst[mode] = { error, at };
  }

  /* ---- colours ---- */

  // Decades of relative L2, or of rho; what is a step over its end is drawn as its end. `best`: of the equal.
  const budget = data.budget > 0 ? Math.log10(data.budget) / 2 : -3;
  const ramp = { low: Math.floor(budget - 5), budget, high: Math.ceil(Math.max(budget + 3, 0)), best: 0,
    decade: nmse => Math.log10(nmse) / 2, column: "worst NMSE", equal: "equal to the last bit",
    text: "log10 of the relative L2 error (half of log10 NMSE)" };
  const ramps = { isolated: ramp, accumulated: ramp, oracle: { low: 0, budget: Math.log10(data.rho_tol), high: 4,
    best: 1, decade: rho => Math.abs(Math.log10(rho)), column: "worst rho", equal: "equally far from the oracle",
    text: "log10 of rho, the subject's distance from the float64 oracle over the reference's, or of 1/rho where that is larger" } };
  const names = ["page", "ink", "muted", "line", "low-0", "low-1", "high-0", "high-1", "equal", "nan",
    "none", "bar", "bad", "bar-bad", "warn", "accent"];
  let colours = {};

  function readColours() {
    const probe = element("span", { hidden: true });
    document.body.append(probe);
    for (const name of names) {
      probe.style.color = `var(--${name})`;
      colours[name] = getComputedStyle(probe).color;
    }
    probe.remove();
  }

  function between(a, b, t) {
    const parts = c => c.match(/[\d.]+/g).slice(0, 3).map(Number);
    const p = parts(a), q = parts(b), u = Math.min(1, Math.max(0, t));
    return `rgb(${p.map((x, i) => Math.round(x + (q[i] - x) * u)).join(" ")})`;
  }

  function colour(error, by) {
    if (error === -1) return colours.none;
    if (Number.isNaN(error)) return colours.nan;
    const { low, budget, high, best, decade } = ramps[by];
    if (error === best) return colours.equal;
    const x = decade(error);
    return x <= budget ? between(colours["low-0"], colours["low-1"], (x - low) / (budget - low))
      : between(colours["high-0"], colours["high-1"], (x - budget) / (high - budget));
  }

  /* ---- the drawing ---- */

  const STRIP = 56, GAP = 18, TOP = 8;
  const at = { pos: 0, group: 0, row: 0 };
  let mode = "accumulated", layout = null;

  function arrange() {
    const room = $("scroll").clientWidth, ratio = window.devicePixelRatio || 1;
    const width = Math.min(Math.max(room / n, 5), 36, 16000 / ratio / n);
    const row = groups.length ? Math.min(Math.max(Math.floor(460 / groups.length), 12), 24) : 0;
    const heat = TOP + 2 * (STRIP + GAP), labels = width >= 13 ? 84 : 20;
    layout = { ratio, width, row, heat, axis: room < 420 ? 72 : 96, labels,
      foot: heat + row * groups.length + 4, height: heat + row * groups.length + 4 + labels };
  }

  function sized(canvas, width, height) {
    canvas.width = Math.round(width * layout.ratio);
    canvas.height = Math.round(height * layout.ratio);
    canvas.style.width = width + "px";
    canvas.style.height = height + "px";
    const g = canvas.getContext("2d");
    g.scale(layout.ratio, layout.ratio);
    g.font = "11px system-ui, sans-serif";
    return g;
  }

  const kl = positions.map(p => real(p.kl)), margin = positions.map(p => real(p.margin));
  const tie = positions.map(p => p.sigma === undefined ? null
    : Math.max(1e-4, 4 * Math.SQRT2 * real(p.sigma)));
  // Ends of a logarithmic scale: `least` and `most`, and more where a value lies above.
  const scale = (xs, least, most) => [least, xs.reduce((top, x) =>
    x > 0 && Number.isFinite(x) ? Math.max(top, Math.log10(x)) : top, most)];
  const klBudget = real(report.budget.kl_tol), klLine = Math.log10(klBudget > 0 ? klBudget : 1e-3);
  const klScale = scale(kl, klLine - 5, klLine + 2), marginScale = scale(margin, -3, 1);

  // Height of x in a strip of a logarithmic scale.
  const height = (x, [from, to]) => x === 0 ? 0 : Number.isFinite(x)
    ? STRIP * Math.min(1, Math.max(0.02, (Math.log10(x) - from) / (to - from))) : STRIP;

  function bar(g, i, foot, x, s, fill) {
    const gap = layout.width > 4 ? 1 : 0, h = x === null ? 0 : height(x, s);
    g.fillStyle = Number.isNaN(x) ? colours.nan : fill;
    g.fillRect(i * layout.width, foot - h, Math.max(layout.width - gap, 0.5), h);
  }

  function level(g, y, width, dashed) {
    g.strokeStyle = dashed ? colours.muted : colours.line;
    g.setLineDash(dashed ? [4, 3] : []);
    g.beginPath();
    g.moveTo(0, y);
    g.lineTo(width, y);
    g.stroke();
    g.setLineDash([]);
  }

  function drawStrips(g, width) {
    const klFoot = TOP + STRIP, marginFoot = klFoot + GAP + STRIP;
    for (let i = 0; i < n; i++) {
      const p = positions[i], flip = p.flip === "flip" ? colours["bar-bad"] : p.flip === "near_tie" ? colours.warn : null;
      bar(g, i, klFoot, kl[i], klScale, kl[i] <= klBudget ? colours.bar : colours["bar-bad"]);
      bar(g, i, marginFoot, margin[i], marginScale, flip || colours.bar);
      if (!(tie[i] > 0)) continue;
      g.fillStyle = colours.ink;
      g.fillRect(i * layout.width, marginFoot - height(tie[i], marginScale) - 1,
        Math.max(layout.width - 1, 1), 1.5);
    }
    level(g, klFoot + 0.5, width);
    level(g, marginFoot + 0.5, width);
    if (klBudget > 0) level(g, klFoot - height(klBudget, klScale) + 0.5, width, true);
  }

  // A cell without a number is struck out, not coloured.
  function strike(g, x, y) {
    g.strokeStyle = colours.line;
    g.beginPath();
    g.moveTo(x, y + layout.row - 1);
    g.lineTo(x + layout.width, y);
    g.stroke();
  }

  function drawHeat(g) {
    const gap = layout.width > 8 ? 1 : 0;
    groups.forEach((group, k) => {
      const { error } = worst(group, mode), y = layout.heat + k * layout.row;
      for (let i = 0; i < n; i++) {
        g.fillStyle = colour(error[i], mode);
        g.fillRect(i * layout.width, y, layout.width - gap, layout.row - 1);
        if (error[i] === -1) strike(g, i * layout.width, y);
      }
    });
  }

  function drawLabels(g) {
    const every = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].find(k => k * layout.width >= 34) || 2000;
    g.fillStyle = colours.bad;
    for (let i = 0; i < n; i++)
      if (positions[i].ok === false) g.fillRect(i * layout.width, layout.foot - 4, layout.width, 3);
    g.fillStyle = colours.muted;
    g.textAlign = "center";
    for (let i = 0; i < n; i += every)
      g.fillText(String(positions[i].pos), (i + 0.5) * layout.width, layout.foot + 12);
    if (layout.labels < 40) return;
    g.textAlign = "right";
    for (let i = 0; i < n; i++) {
      const text = Array.from(piece(positions[i].token)).slice(0, 10).join("");
      g.save();
      g.translate((i + 0.5) * layout.width + 4, layout.foot + 20);
      g.rotate(-Math.PI / 2);
      g.fillText(text, 0, 0);
      g.restore();
    }
  }

  function drawAxis() {
    const g = sized($("axis"), layout.axis, layout.height), right = layout.axis - 6;
    const klFoot = TOP + STRIP, marginFoot = klFoot + GAP + STRIP;
    const put = (text, y, fill) => { g.fillStyle = fill; g.fillText(text, right, y); };
    g.textAlign = "right";
    put("KL, nats", TOP + 10, colours.ink);
    if (klBudget > 0) put((layout.axis < 90 ? "≤ " : "budget ") + klBudget,
      Math.max(klFoot - height(klBudget, klScale) + 4, TOP + 24), colours.muted);
    put("margin", marginFoot - STRIP + 10, colours.ink);
    put("– near tie", marginFoot - STRIP + 24, colours.muted);
    groups.forEach((group, k) => {
      if (layout.row < 14 && group.layer >= 0 && group.layer % 2) return;
      put(group.name, layout.heat + (k + 0.5) * layout.row + 3, colours.ink);
    });
    put("position", layout.foot + 12, colours.muted);
    if (layout.labels > 40) put("token", layout.foot + 32, colours.muted);
  }

  function drawPlot() {
    const width = n * layout.width, g = sized($("plot"), width, layout.height);
    drawStrips(g, width);
    if (groups.length) drawHeat(g);
    drawLabels(g);
  }

  // Two elements over the drawing, so that a step of the cursor draws nothing anew.
  function place(id, x, y, width, height) {
    Object.assign($(id).style, { left: x + "px", top: y + "px", width: width + "px", height: height + "px" });
  }

  function drawCursor() {
    const w = layout.width, x = at.pos * w;
    place("column", x, 0, w, layout.foot);
    if (groups.length) place("cell", x, layout.heat + at.group * layout.row, w, layout.row);
    else place("cell", x, TOP, w, layout.foot - TOP);
  }

  function draw() {
    arrange();
    drawAxis();
    drawPlot();
    drawCursor();
  }

  /* ---- where the cursor is, in words ---- */

  function describe(pos, k) {
    const p = positions[pos], parts = [`position ${p.pos} ‘${piece(p.token)}’`];
    if (kl[pos] !== null) parts.push(`KL ${shown(kl[pos])}`);
    if (p.ok === false) parts.push("outside its budget");
    if (groups[k]) {
      const group = groups[k], { error, at: rows } = worst(group, mode), e = error[pos];
      const relative = mode === "oracle" ? "" : e > 0 ? ` (log10 relative L2 ${(Math.log10(e) / 2).toFixed(2)})` : "";
      parts.push(group.name, e === -1 ? "not compared" : e === ramps[mode].best ? ramps[mode].equal
        : `${group.rows[rows[pos]].op} ${mode === "oracle" ? "rho" : "NMSE"} ${shown(e)}${relative}`);
    }
    return parts.join(" · ");
  }

  /* ---- the steps: position, layer, operation, values ---- */

  const key = (error, by) => {
    const i = element("i", { class: error === -1 ? "key none" : "key", "aria-hidden": "true" });
    if (error !== -1) i.style.background = colour(error, by);
    return i;
  };
  const head = (...columns) => element("thead", {}, element("tr", {},
    ...columns.map(c => element("th", { scope: "col", class: c === "operation" && "text" }, c))));
  const choice = (name, text, pick) => {
    const b = element("button", { type: "button", "data-key": name }, text);
    b.addEventListener("click", pick);
    return element("th", { scope: "row" }, b);
  };
  function mark(table, name) {
    for (const b of table.querySelectorAll("button")) {
      const on = b.dataset.key === String(name);
      if (on) b.setAttribute("aria-current", "true");
      else b.removeAttribute("aria-current");
      b.closest("tr").classList.toggle("on", on);
    }
  }

  function showPosition() {
    const p = positions[at.pos], rows = [
      ["token", token(p.token)], ["phase", p.phase], ["KL, nats", number(real(p.kl))],
      ["centred cosine", number(real(p.cosine_centred))], ["centred NMSE", number(real(p.nmse))],
      ["L2 distance", number(real(p.l2))], ["largest difference", number(real(p.max_abs))],
      ["margin", number(real(p.margin))], ["near tie up to", number(tie[at.pos])],
      ["subject's choice", token(p.top1_subject)], ["reference's choice", token(p.top1_reference)],
    ];
    $("step-position").replaceChildren(`Position ${p.pos} `, element("q", {}, piece(p.token)));
    $("facts").replaceChildren(...rows.flatMap(([name, value]) =>
      [element("dt", {}, name), element("dd", { "data-fact": name }, value)]));
    $("layers").replaceChildren(head("layer", ramps[mode].column, "operation"), element("tbody", {},
      ...groups.map((group, k) => {
        const { error, at: rows } = worst(group, mode), e = error[at.pos];
        return element("tr", {}, choice(k, group.name, () => selectLayer(k)),
          element("td", {}, key(e, mode), number(e)),
          element("td", { class: "text" }, e !== -1 && e !== ramps[mode].best ? group.rows[rows[at.pos]].op : ""));
      })));
  }

  function showLayer() {
    const group = groups[at.group];
    $("step-layer").textContent = group.name;
    const columns = ["isolated", "accumulated", ...oracle ? ["oracle"] : []];
    $("ops").replaceChildren(head("operation", ...columns.map(c => c === "oracle" ? "rho" : c)), element("tbody", {},
      ...group.rows.map((row, k) => element("tr", {}, choice(k, row.op, () => selectOp(k)), ...columns.map(c => {
        const e = errors(row, c)[at.pos];
        return element("td", { "data-error": c }, key(e, c), number(e));
      })))));
    mark($("layers"), at.group);
    const list = $("layers").parentNode, on = $("layers").querySelector(".on");
    list.scrollTop = Math.max(0, on.offsetTop - list.clientHeight / 2);
  }

  function coordinate(row, index) {
    return row.heads > 1 ? `head ${Math.floor(index / row.n)}, ${index % row.n}` : String(index);
  }

  function showOp() {
    const row = groups[at.group].rows[at.row], list = values(row, at.pos);
    const e = errors(row, "accumulated")[at.pos];
    $("step-op").textContent = row.op;
    $("op-note").textContent = list.length ? `The ${list.length === 1 ? "coordinate that differs" : "coordinates that differ"}`
      + " most as the subject ran." : e === 0 ? "Equal to the last bit at this position."
      : e === -1 ? "Not compared at this position." : "No values were kept of this operation.";
    $("values").replaceChildren(...list.length ? [head("coordinate", "subject", "reference", "difference"),
      element("tbody", {}, ...list.map(([index, a, b]) => element("tr", {},
        element("th", { scope: "row", "data-index": index }, coordinate(row, index)),
        element("td", {}, single(a)), element("td", {}, single(b)), element("td", {}, number(a - b)))))] : []);
    if (oracle) $("op-note").append(" NMSE to the oracle, on the reference's own input: ",
      element("span", { "data-oracle": "subject" }, number(errors(row, "subject")[at.pos])), " of the subject, ",
      element("span", { "data-oracle": "reference" }, number(errors(row, "reference")[at.pos])), " of the reference.");
    mark($("ops"), at.row);
  }

  /* ---- choosing ---- */

  const worstRow = () => worst(groups[at.group], mode).at[at.pos];

  function selectOp(k) {
    at.row = k;
    showOp();
    drawCursor();
  }

  function selectLayer(k) {
    at.group = k;
    at.row = worstRow();
    $("at").textContent = describe(at.pos, k);
    showLayer();
    showOp();
    drawCursor();
  }

  function select(pos, group) {
    at.pos = Math.min(n - 1, Math.max(0, pos));
    at.group = Math.min(Math.max(groups.length - 1, 0), Math.max(0, group));
    $("at").textContent = describe(at.pos, at.group);
    showPosition();
    if (groups.length) selectLayer(at.group);
    else drawCursor();
    const scroll = $("scroll"), x = at.pos * layout.width;
    if (x < scroll.scrollLeft || x + layout.width > scroll.scrollLeft + scroll.clientWidth)
      scroll.scrollLeft = x - scroll.clientWidth / 2;
  }

  // Positions and layers under the pointer; a layer of -1 lies outside of the map.
  function under(event) {
    const r = $("plot").getBoundingClientRect(), y = event.clientY - r.top;
    const pos = Math.min(n - 1, Math.max(0, Math.floor((event.clientX - r.left) / layout.width)));
    const k = layout.row ? Math.floor((y - layout.heat) / layout.row) : -1;
    return { pos, group: k >= 0 && k < groups.length ? k : -1 };
  }

  function nextBad() {
    for (let i = 1; i <= n; i++) {
      const p = positions[(at.pos + i) % n];
      if (p.ok === false || p.finite === false) return (at.pos + i) % n;
    }
    return at.pos;
  }

  const moves = {
    ArrowLeft: () => [at.pos - 1, at.group], ArrowRight: () => [at.pos + 1, at.group],
    ArrowUp: () => [at.pos, at.group - 1], ArrowDown: () => [at.pos, at.group + 1],
    PageUp: () => [at.pos - 10, at.group], PageDown: () => [at.pos + 10, at.group],
    Home: () => [0, at.group], End: () => [n - 1, at.group],
    n: () => [nextBad(), at.group], N: () => [nextBad(), at.group],
  };

  function listen() {
    const grid = $("grid"), plot = $("plot");
    plot.addEventListener("click", event => {
      const { pos, group } = under(event);
      select(pos, group < 0 ? at.group : group);
    });
    plot.addEventListener("mousemove", event => {
      const { pos, group } = under(event);
      $("at").textContent = describe(pos, group < 0 ? at.group : group);
    });
    plot.addEventListener("mouseleave", () => { $("at").textContent = describe(at.pos, at.group); });
    grid.addEventListener("keydown", event => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.key === "Enter") ($("ops").querySelector("[aria-current]") || $("step-position")).focus();
      else if (moves[event.key]) select(...moves[event.key]());
      else return;
      event.preventDefault();
    });
    $("steps").addEventListener("keydown", event => {
      const list = [...event.target.closest("section").querySelectorAll("button")];
      const step = { ArrowUp: -1, ArrowDown: 1 }[event.key], i = list.indexOf(event.target);
      if (event.key === "Escape") grid.focus();
      else if (step && list[i + step]) list[i + step].focus();
      else return;
      event.preventDefault();
    });
    for (const radio of document.getElementsByName("mode"))
      radio.addEventListener("change", () => {
        mode = document.querySelector("[name=mode]:checked").value;
        legend();
        draw();
        select(at.pos, at.group);
      });
    new ResizeObserver(draw).observe($("scroll"));
  }

  /* ---- the rest of the page ---- */

  // Columns can be sorted: by exact numbers where there are some, what has none at the end.
  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells];
    const sorted = cell => {
      const exact = cell.querySelector("data"), text = cell.textContent;
      return exact ? Number(exact.value) : text && !Number.isNaN(Number(text)) ? Number(text) : text;
    };
    const compare = (a, b) => typeof a === "number" && typeof b === "number"
      ? (Number.isNaN(b) ? 1 : 0) - (Number.isNaN(a) ? 1 : 0) || a - b
      : typeof a === typeof b ? a.localeCompare(b) : typeof a === "number" ? 1 : -1;
    heads.forEach((th, k) => {
      const button = element("button", { type: "button" }, ...th.childNodes);
      th.append(button);
      button.addEventListener("click", () => {
        const down = th.getAttribute("aria-sort") !== "descending";
        for (const other of heads) other.removeAttribute("aria-sort");
        th.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...table.tBodies[0].rows].map(row => [sorted(row.cells[k]), row]);
        rows.sort((a, b) => compare(a[0], b[0]) * (down ? -1 : 1));
        table.tBodies[0].append(...rows.map(r => r[1]));
      });
    });
  }

  // From a row of a table to the place in the map.
  function jumps(table, cell, jump) {
    for (const row of table.tBodies[0].rows) {
      const at = row.cells[cell], button = element("button", { type: "button" }, ...at.childNodes);
      at.append(button);
      button.addEventListener("click", () => {
        jump(row);
        $("plots").scrollIntoView();
        $("grid").focus();
      });
    }
  }

  function jumpToTap(row) {
    const tap = data.map[Number(row.dataset.row)];
    const group = groups.findIndex(g => g.rows.includes(tap)), e = errors(tap, mode);
    let pos = 0;
    for (let i = 1; i < n; i++) if (worse(rank(e[i], mode), rank(e[pos], mode))) pos = i;
    select(pos, group);
    selectOp(groups[group].rows.indexOf(tap));
  }

  function theme() {
    const root = document.documentElement, system = matchMedia("(prefers-color-scheme: dark)");
    const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
    const update = () => {
      $("theme").textContent = dark() ? "Light" : "Dark";
      readColours();
      if (layout) draw();
      if (layout) select(at.pos, at.group);
    };
    $("theme").hidden = false;
    $("theme").addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      update();
    });
    system.addEventListener("change", update);
    update();
  }

  // Where to begin: at what was located, else at the worst position.
  function begin() {
    const l = report.located;
    if (l && groups.length) {
      const layer = l.layer === null ? -1 : l.layer;
      const group = groups.findIndex(g => g.layer === layer && g.rows.some(r => r.op === l.op));
      select(l.position, group);
      const row = group < 0 ? -1 : groups[group].rows.findIndex(r => r.op === l.op);
      if (row >= 0) selectOp(row);
    } else {
      const e = report.summary.max_kl;
      select(e && e.pos !== null ? e.pos : 0, 0);
    }
  }

  function legend() {
    const { low, budget, high, text, equal } = ramps[mode];
    $("ramp-low").textContent = "≤ " + low;
    $("ramp-budget").textContent = "budget " + budget.toFixed(1).replace(/\.0$/, "");
    $("ramp-high").textContent = "≥ " + high;
    $("scale").textContent = text;
    $("equal").textContent = equal;
  }

  theme();
  for (const table of document.querySelectorAll("table.sortable")) sortable(table);
  if (!n) return;
  $("plots").hidden = false;
  $("modes").hidden = !groups.length;
  for (const e of document.querySelectorAll("#legend .layers")) e.hidden = !groups.length;
  $("by-oracle").hidden = !oracle;
  legend();
  for (const id of ["step-layer", "step-op"]) $(id).closest("section").hidden = !groups.length;
  $("layers").hidden = !groups.length;
  draw();
  listen();
  jumps($("positions"), 0, row => select(Number(row.id.slice(1)), at.group));
  if ($("taps")) jumps($("taps"), 1, jumpToTap);
  begin();
})();
