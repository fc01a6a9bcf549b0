// SPDX-License-Identifier: MIT
// html_report.js - appended by html_report.sh to a copy of a report: uses the page as a person would, with
// keys and clicks, and compares what stands there with what is wanted, a list of {report, taps: [{pos,
// layer, op, cell}], row: {pos, layer, op, values}, spoil, wrong}; where something is wrong, the first such is
// enough. What it found goes into the document as the element "outcome".
"use strict";
function use(wanted, outcome) {
  const failures = [];
  let checks = 0;
  const $ = id => document.getElementById(id);

  function failed(what) {
    failures.push(what);
    if (wanted.wrong) throw what;
  }
  function equal(what, got, want) {
    checks++;
    if (!Object.is(got, want)) failed(`${what}: ${got}, not ${want}`);
  }
  const real = x => x === null ? null : Number(x);

  // The exact number of a <data> element, whose text must be that number as far as it goes.
  function read(what, place) {
    const d = place && place.querySelector("data");
    if (!d) return null;
    const x = Number(d.value), text = d.textContent.replace("Inf", "Infinity"), y = Number(text);
    checks++;
    const near = Number.isFinite(x) ? Math.abs(x - y) <= 6e-4 * Math.abs(x) + (text.includes("e") ? 0 : 5e-9)
      : Object.is(x, y);
    if (!near) failed(`${what}: the text is ${text}, the number ${x}`);
    return x;
  }

  const press = (key, at) => (at || $("grid")).dispatchEvent(
    new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  const fact = name => document.querySelector(`#facts [data-fact="${name}"]`);
  const button = (table, text) => [...$(table).querySelectorAll("button")].find(b => b.textContent === text);

  function head(report) {
    equal("verdict", $("verdict").textContent, report.verdict);
    equal("exit code", document.querySelector(".exit").textContent, `exit code ${report.exit_code}`);
    const c = report.coverage, got = [...document.querySelectorAll(".coverage div")].map(d =>
      [...d.querySelectorAll("data")].map(x => Number(x.value)).join(" of ") || d.querySelector("dd").textContent);
    const pair = (a, b) => b ? `${a} of ${b}` : "not measured";
    equal("coverage", got.join(", "), [pair(c.positions_compared, c.positions_planned),
      pair(c.logits_compared, c.vocab), pair(c.taps_compared, c.taps_planned)].join(", "));
  }

  const columns = { 2: "cosine", 3: "cosine_centred", 4: "nmse", 5: "kl", 6: "max_abs", 7: "margin" };
  function positions(report) {
    const rows = [...$("positions").tBodies[0].rows];
    equal("rows of the table of positions", rows.length, report.positions.length);
    report.positions.forEach((p, i) => {
      equal(`row ${i}`, Number(rows[i].cells[0].textContent), p.pos);
      for (const [k, name] of Object.entries(columns))
        equal(`position ${i}, ${name}`, read(name, rows[i].cells[k]), p[name] === undefined ? null : real(p[name]));
    });
  }

  function summary(report) {
    const s = report.summary, names = ["min_cosine", "min_cosine_centred", "max_nmse", "max_kl", "max_l2", "max_abs"];
    [...$("summary").tBodies[0].rows].forEach((row, k) =>
      equal(names[k], read(names[k], row.cells[1]), real(s[names[k]].value)));
  }

  // With the keys through the positions, of many through each tenth; with a click back to some.
  function strips(report) {
    const names = { "KL, nats": "kl", "centred NMSE": "nmse", "L2 distance": "l2", margin: "margin" };
    const step = report.positions.length > 64 ? 10 : 1;
    press("Home");
    for (let i = 0; i < report.positions.length; i += step) {
      const p = report.positions[i];
      for (const [name, key] of Object.entries(names))
        equal(`position ${i}, ${name}`, read(name, fact(name)), p[key] === undefined ? null : real(p[key]));
      equal(`position ${i}`, $("at").textContent.startsWith(`position ${p.pos} `), true);
      press(step === 10 ? "PageDown" : "ArrowRight");
    }
    const n = report.positions.length;
    for (const i of [0, n >> 1, n - 1]) {
      const plot = $("plot").getBoundingClientRect(); // it may have scrolled
      $("plot").dispatchEvent(new MouseEvent("click", { bubbles: true,
        clientX: plot.left + (i + 0.5) * plot.width / n, clientY: plot.top + 20 }));
      equal(`clicked position ${i}`, $("step-position").textContent.startsWith(`Position ${report.positions[i].pos} `), true);
    }
  }

  // A click into every layer of the drawing, from top to bottom, chooses all of them in order.
  function layers() {
    press("Home");
    const plot = $("plot").getBoundingClientRect(), seen = [];
    for (let y = plot.top + 130; y < plot.bottom; y += 11) {
      $("plot").dispatchEvent(new MouseEvent("click", { bubbles: true, clientX: plot.left + 3, clientY: y }));
      const name = $("step-layer").textContent;
      if (!seen.includes(name)) seen.push(name);
    }
    const names = [...$("layers").tBodies[0].rows].map(r => r.cells[0].textContent);
    equal("layers that can be clicked", seen.slice().sort().join(), names.slice().sort().join());
  }

  function goTo(pos, layer, op) {
    press("Home");
    for (let i = 0; i + 10 <= pos; i += 10) press("PageDown");
    for (let i = 0; i < pos % 10; i++) press("ArrowRight");
    button("layers", layer === null ? op === "embeddings" ? "input" : "output" : `layer ${layer}`).click();
    button("ops", op).click();
    const row = button("ops", op).closest("tr");
    return ["isolated", "accumulated"].map(e => read(e, row.querySelector(`[data-error="${e}"]`)));
  }

  // From token to layer to operation to values: the place that was located.
  function located(report) {
    const l = report.located, heading = document.querySelector(".place");
    equal("located", !!heading, !!l);
    if (!l) return;
    equal("located: place", heading.firstChild.textContent.trim(),
      `${l.layer === null ? "" : `layer ${l.layer}, `}${l.op}, position ${l.position}`);
    equal("located: isolated", read("isolated", $("located-isolated")), real(l.isolated));
    if (l.isolated_reverse !== null)
      equal("located: reverse", read("isolated", $("located-reverse")), real(l.isolated_reverse));
    equal("located: accumulated", read("accumulated", $("located-accumulated")), real(l.accumulated));
    if (!wanted.map) return;
    const [isolated] = goTo(l.position, l.layer, l.op);
    if (l.origin === "born") equal("map: isolated", isolated, real(l.isolated));
    const rows = [...$("values").querySelectorAll("tbody tr")];
    equal("values are there", rows.length > 0, true);
    let before = Infinity;
    for (const row of rows) {
      const [a, b, d] = [1, 2, 3].map(k => read("value", row.cells[k]));
      equal("difference", d, a - b);
      equal("largest first", !(Math.abs(d) > before), true);
      before = Math.abs(d);
    }
  }

  // Cells whose numbers are known from elsewhere.
  function taps(report) {
    for (const { pos, layer, op, cell } of wanted.taps) {
      const [isolated, accumulated, ...values] = cell.map(x => Array.isArray(x) ? x.map(Number) : Number(x));
      const got = goTo(pos, layer, op), none = x => x === -1 ? null : x, name = `${pos}, ${layer}, ${op}`;
      equal(`${name}: isolated`, got[0], none(isolated));
      equal(`${name}: accumulated`, got[1], none(accumulated));
      const rows = [...$("values").querySelectorAll("tbody tr")];
      equal(`${name}: values`, rows.length, values.length);
      rows.forEach((row, k) => {
        equal(`${name}: coordinate`, Number(row.cells[0].dataset.index), values[k][0]);
        equal(`${name}: subject`, read("subject", row.cells[1]), values[k][1]);
        equal(`${name}: reference`, read("reference", row.cells[2]), values[k][2]);
      });
    }
  }

  // The reference's values, as a trace of it alone has them.
  function traced({ pos, layer, op, values }) {
    goTo(pos, layer, op);
    const rows = [...$("values").querySelectorAll("tbody tr")];
    equal("values of the trace", rows.length > 0, true);
    for (const row of rows)
      equal("value of the trace", read("reference", row.cells[2]), Math.fround(values[row.cells[0].dataset.index]));
  }

  // The third state of the switch: how far both engines are from the oracle, on the reference's own input.
  function oracle() {
    equal("the oracle's state of the switch", !$("by-oracle").hidden, wanted.oracle);
    if (!wanted.oracle) return;
    const l = wanted.report.located || { position: 2, layer: 1, op: "attn_proj" };
    goTo(l.position, l.layer, l.op);
    const distance = of => read(`to the oracle: ${of}`, document.querySelector(`#op-note [data-oracle="${of}"]`));
    const s = distance("subject"), r = distance("reference"), least = 1e-12;
    if (wanted.report.located) {
      equal("subject to the oracle", s, real(l.subject_error));
      equal("reference to the oracle", r, real(l.reference_error));
    } else equal("equal engines are equally far", s, r);
    const row = button("ops", l.op).closest("tr");
    const rho = read("rho", row.querySelector('[data-error="oracle"]'));
    equal("rho", rho, Math.sqrt(Math.max(s, least) / Math.max(r, least)));
    equal("rho of a fault", rho > 3, !!wanted.report.located);
    const before = $("layers").textContent;
    document.querySelector("[name=mode][value=oracle]").click();
    equal("the column", $("layers").tHead.textContent.includes("worst rho"), true);
    const worst = read("worst rho", $("layers").querySelector("tr.on"));
    equal("worst rho of the layer", wanted.report.located ? worst === rho : worst < 3, true);
    equal("in words", $("at").textContent.includes(wanted.report.located ? ` ${l.op} rho ` : "position"), true);
    document.getElementsByName("mode")[0].click();
    equal("and back from the oracle", $("layers").textContent, before);
  }

  // The switch between the errors, and both tables, which lead back into the map.
  function switches() {
    const radios = document.getElementsByName("mode"), first = () => $("layers").tBodies[0].textContent;
    const l = wanted.report.located;
    if (l) goTo(l.position, l.layer, l.op);
    const before = first();
    radios[1].click();
    equal("the switch changes the map", first() !== before, l !== null);
    radios[0].click();
    equal("and back", first(), before);
    const row = $("taps").tBodies[0].rows[1];
    row.querySelector("button").click();
    equal("from the table of taps", $("step-op").textContent, row.querySelector("button").textContent);
    const enter = press("Enter");
    equal("Enter goes to the operations", document.activeElement.closest("table").id, "ops");
    press("Escape", document.activeElement);
    equal("Escape leads back", document.activeElement.id, "grid");
    equal("keys are handled", enter, false);
  }

  function themes() {
    const page = () => getComputedStyle(document.body).backgroundColor, before = page();
    $("theme").click();
    equal("light and dark", page() !== before, true);
    $("theme").click();
    equal("and back", page(), before);
  }

  try {
    const report = wanted.report;
    if (wanted.spoil) document.querySelector(wanted.spoil).textContent = "1.5";
    equal("the title", document.title.startsWith(`${report.verdict}: `), true);
    head(report);
    summary(report);
    positions(report);
    located(report);
    equal("the page shows layers", !$("layers").hidden, wanted.map);
    if (wanted.map) taps(report);
    if (wanted.row) traced(wanted.row);
    strips(report);
    if (wanted.map) {
      layers();
      switches();
      oracle();
    }
    themes();
    equal("nothing is loaded", performance.getEntriesByType("resource").length, 0);
  } catch (e) {
    if (!wanted.wrong) failures.push(String(e.stack));
  }
  outcome.textContent += `CHECKS ${checks}\n${failures.map(f => `FAILED ${f}\n`).join("")}END\n`;
}

addEventListener("load", () => {
  const outcome = document.createElement("pre");
  for (const one of wanted) use(one, outcome);
  document.body.replaceChildren(outcome);
});
