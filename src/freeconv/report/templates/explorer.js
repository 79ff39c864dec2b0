"use strict";
// What the study recorded: see `_records` of freeconv.report.explorer.
const study = JSON.parse(document.getElementById("records").textContent);
const MASKED = "vcp";  // the condition whose lines are probabilities of masked connections
const SHARES = "training_share";  // begins those whose lines are shares of the training images
const byId = id => document.getElementById(id);
const hidden = new Set();  // names of lines that the legend has switched off
let drawn = null;  // what vegaEmbed returned last

const runs = study.runs.seed.map((_, number) => ({
  rows: [],  // where its epochs are in the columns of `study.epochs`
  ...Object.fromEntries(Object.entries(study.runs).map(([name, column]) => [name, column[number]])),
}));
study.epochs.run.forEach((run, row) => runs[run].rows.push(row));

function fill(select, titles, chosen) {
  select.replaceChildren(...Object.entries(titles).map(([value, title]) => new Option(title, value)));
  if (chosen in titles) select.value = chosen;
}

function ofDataset() {
  return runs.filter(run => run.dataset === byId("dataset").value);
}

// Only what the chosen data set has can be chosen.
function offerConditions() {
  const here = ofDataset();
  const conditions = Object.fromEntries(Object.entries(study.augmentations).filter(
    ([kind]) => here.some(run => run.augmentation === kind)));
  if (here.some(run => run.vcp > 0)) conditions[MASKED] = "Masked connections";
  for (const run of here.filter(run => run.training_share < 1)) {
    const level = run.level ? `${study.augmentations[run.augmentation].toLowerCase()} ${run.level}` : "no augmentation";
    conditions[sharesAt(run)] = `Share of the training images, ${level}`;
  }
  if (!Object.keys(conditions).length) conditions.none = "No augmentation";
  fill(byId("condition"), conditions, byId("condition").value);
}

function offerAxes() {
  const condition = byId("condition").value;
  const name = ofShares(condition) ? "Share" : condition === MASKED ? "Probability" : "Level";
  const axes = { epoch: "Epoch", line: `${name} in training, at the best epoch` };
  fill(byId("axis"), axes, byId("axis").value);
}

function offerNetworks() {
  const here = new Set(runsOfCondition().map(run => run.model));
  for (const box of byId("networks").querySelectorAll("input")) {
    box.disabled = !here.has(box.value);
    box.parentElement.style.opacity = box.disabled ? 0.4 : 1;
  }
}

// The runs of a condition. Level 0 of every augmentation is the run without; masked connections
// are compared with the same networks without masks, at their level.
function runsOfCondition() {
  const condition = byId("condition").value;
  if (ofShares(condition)) return ofDataset().filter(run => run.vcp === 0 && sharesAt(run) === condition);
  const here = ofDataset().filter(run => run.training_share === 1);
  if (condition !== MASKED) {
    return here.filter(run => run.vcp === 0 && [condition, "none"].includes(run.augmentation));
  }
  const masked = here.filter(run => run.vcp > 0);
  const like = new Set(masked.map(run => [run.model, run.augmentation, run.level].join()));
  return here.filter(run => like.has([run.model, run.augmentation, run.level].join()));
}

const sharesAt = run => [SHARES, run.augmentation, run.level].join(" ");
const ofShares = condition => condition.startsWith(SHARES);

function lineOf(run) {
  const condition = byId("condition").value;
  return ofShares(condition) ? run.training_share : condition === MASKED ? run.vcp : run.level;
}

const titleOf = run => study.models[run.model];
const overEpochs = () => byId("axis").value === "epoch";
const nameOf = run => overEpochs() ? String(lineOf(run)) : titleOf(run);

function chosenRuns() {
  const networks = new Set([...byId("networks").querySelectorAll("input:checked:enabled")].map(box => box.value));
  return runsOfCondition().filter(run => networks.has(run.model));
}

const shownRuns = () => chosenRuns().filter(run => !hidden.has(nameOf(run)));

function metrics() {
  return [byId("metric").value, byId("second").value].filter(Boolean);
}

function bestRow(run) {
  return run.rows.find(row => study.epochs.epoch[row] === run.best);
}

const isLoss = metric => metric.endsWith("loss");
const isAccuracy = metric => study.accuracies.includes(metric);

// One point a run and place on the horizontal axis. Accuracies at epoch 0 are chance.
function pointsOfRuns(metric) {
  const values = study.epochs[metric];
  const untrained = !isAccuracy(metric) && !isLoss(metric);
  return shownRuns().flatMap(run => {
    const rows = overEpochs() ? run.rows : [bestRow(run)];
    return rows
      .filter(row => values[row] !== null && (study.epochs.epoch[row] > 0 || (untrained && overEpochs())))
      .map(row => ({
        network: titleOf(run), line: nameOf(run), fold: run.fold, repeat: run.repeat, seed: run.seed,
        x: overEpochs() ? study.epochs.epoch[row] : lineOf(run), value: values[row],
      }));
  });
}

const mean = numbers => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;

// Repeats are averaged within folds, then folds.
function means(points) {
  const groups = Map.groupBy(points, point => [point.network, point.line, point.x].join("\n"));
  return [...groups.values()].map(group => {
    const folds = [...Map.groupBy(group, point => point.fold).values()]
      .map(repeats => mean(repeats.map(point => point.value)));
    const centre = mean(folds);
    const deviation = Math.sqrt(folds.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (folds.length - 1));
    const margin = study.margins[folds.length];
    const half = margin === null ? null : margin * deviation;
    return {
      network: group[0].network, line: group[0].line, x: group[0].x, mean: centre, folds: folds.length,
      low: half === null ? null : centre - half, high: half === null ? null : centre + half,
      seeds: [...new Set(group.map(point => point.seed))].join(", "),
    };
  });
}

// An interval may reach beyond what an accuracy can be; the axis does not, as in the study's figures.
function drawnBands(points, metric) {
  if (!isAccuracy(metric)) return points;
  return points.map(point => ({ ...point, low: Math.max(point.low, 0), high: Math.min(point.high, 1) }));
}

// From blue through grey to red over the lines there are, as in the study's figures; networks have
// the colours of Okabe and Ito's palette, safe for the colour-blind.
const ENDS = [[59, 76, 192], [150, 150, 150], [180, 4, 38]];
const PALETTE = ["#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"];
const PAPERS = { fcn: "#D55E00", cnn: "#0072B2" };

function ramp(position) {
  const [low, high] = position <= 0.5 ? ENDS.slice(0, 2) : ENDS.slice(1);
  const share = position <= 0.5 ? 2 * position : 2 * position - 1;
  return `rgb(${low.map((from, channel) => Math.round(from + share * (high[channel] - from))).join()})`;
}

function colours() {
  const names = [...new Set(chosenRuns().map(nameOf))];
  if (!overEpochs()) {
    const others = Object.keys(study.models).filter(model => !(model in PAPERS));
    const colourOf = model => PAPERS[model] ?? PALETTE[others.indexOf(model) % PALETTE.length];
    const all = Object.entries(study.models).map(([model, title]) => [title, colourOf(model)]);
    return new Map(all.filter(([title]) => names.includes(title)));
  }
  names.sort((one, other) => one - other);
  return new Map(names.map((name, place) => [name, ramp(names.length > 1 ? place / (names.length - 1) : 0)]));
}

function drawLegend(looks) {
  byId("legend").replaceChildren(...[...looks].map(([name, colour]) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.style.setProperty("--line-colour", colour);
    button.setAttribute("aria-pressed", !hidden.has(name));
    button.addEventListener("click", () => {
      if (!hidden.delete(name)) hidden.add(name);
      draw();
    });
    return button;
  }));
}

function panelsOf(metric, looks, width) {
  const points = pointsOfRuns(metric);
  const log = byId("scale").value === "log";
  const y = {
    type: "quantitative", title: study.measures[metric], scale: log ? { type: "log" } : { zero: false },
  };
  const axisTitle = byId("axis").selectedOptions[0].textContent;
  const x = { field: "x", type: "quantitative", title: axisTitle, axis: { grid: false } };
  if (overEpochs()) x.axis.tickMinStep = 1;
  const color = {
    field: "line", type: "nominal", legend: null,
    scale: { domain: [...looks.keys()], range: [...looks.values()] },
  };
  const averages = means(points);
  // Below 0, and at 0, a logarithm shows nothing.
  const seen = log ? averages.filter(point => point.mean > 0) : averages;
  const banded = seen.filter(point => point.low !== null && (!log || point.low > 0));
  const meanTips = [
    { field: "network" }, { field: "line", title: byId("condition").selectedOptions[0].textContent },
    { field: "x", title: axisTitle }, { field: "mean", format: ".4f" }, { field: "low", format: ".4f" },
    { field: "high", format: ".4f" }, { field: "folds" }, { field: "seeds" }];
  const runTips = ["network", "line", "x", "value", "fold", "repeat", "seed"].map(field => ({ field }));
  const layers = [
    { values: seen, mark: "line", encoding: { x, y: { ...y, field: "mean" }, color } },
    {
      values: seen, mark: { type: "point", filled: true, size: 22 },
      encoding: { x, y: { ...y, field: "mean" }, color, tooltip: meanTips },
    }];
  if (byId("bands").checked && banded.length) {
    layers.unshift({
      values: drawnBands(banded, metric), mark: { type: "area", opacity: 0.15 },
      encoding: { x, y: { ...y, field: "low" }, y2: { field: "high" }, color },
    });
  }
  if (byId("singles").checked) {
    const singles = log ? points.filter(point => point.value > 0) : points;
    layers.push({
      values: singles, mark: { type: "point", shape: "cross", size: 18, opacity: 0.6 },
      encoding: { x, y: { ...y, field: "value" }, color, tooltip: runTips },
    });
  }
  // A layer within a facet has to take its data from the facet: one table, whose points name theirs.
  const data = {
    values: layers.flatMap(({ values }, number) => values.map(point => ({ ...point, layer: number }))),
  };
  const layer = layers.map(({ mark, encoding }, number) => ({
    mark, encoding, transform: [{ filter: `datum.layer === ${number}` }] }));
  const panel = { width, height: 240, layer };
  if (!overEpochs()) return { data, ...panel };
  const column = { field: "network", type: "nominal", title: null, sort: Object.values(study.models) };
  return { data, facet: { column }, spec: panel };
}

function drawTable() {
  const shown = shownRuns();
  byId("count").textContent = `${shown.length} of ${runs.length} runs.`;
  const columns = tableColumns();
  const cell = (kind, text) => Object.assign(document.createElement(kind), { textContent: text ?? "" });
  const row = (kind, texts) => {
    const element = document.createElement("tr");
    element.append(...texts.map(text => cell(kind, text)));
    return element;
  };
  const [head, body] = byId("runs").querySelector("table").children;
  head.replaceChildren(row("th", columns.map(([title]) => title)));
  body.replaceChildren(...shown.map(run => row("td", columns.map(([, value]) => value(run)))));
}

function tableColumns() {
  const fields = ["dataset", "model", "augmentation", "level", "vcp", "training_share", "fold", "repeat", "seed", "epochs"];
  const measured = [...new Set([...metrics(), "val_accuracy"])].filter(name => name in study.epochs);
  return [
    ...fields.map(field => [field, run => run[field]]),
    ["best_epoch", run => run.best],
    ...measured.map(name => [name, run => study.epochs[name][bestRow(run)]]),
  ];
}

function csv() {
  const columns = tableColumns();
  const lines = shownRuns().map(run => columns.map(([, value]) => value(run) ?? ""));
  return [columns.map(([title]) => title), ...lines].map(line => line.join()).join("\n") + "\n";
}

async function draw() {
  const looks = colours();
  for (const name of hidden) if (!looks.has(name)) hidden.delete(name);
  drawLegend(looks);
  drawTable();
  const networks = overEpochs() ? new Set(shownRuns().map(run => run.model)).size : 1;
  const room = byId("plot").clientWidth - 20;
  const width = Math.max(150, Math.min(560, Math.floor(room / Math.max(networks, 1)) - 75));
  const spec = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    vconcat: metrics().map(metric => panelsOf(metric, looks, width)),
    config: { font: "system-ui", view: { stroke: "#d5dbe1" }, axis: { gridColor: "#eef1f4" }, header: { labelFontSize: 13 } },
  };
  const before = drawn;
  const options = { actions: { export: true, source: false, compiled: false, editor: false }, renderer: "svg" };
  drawn = await vegaEmbed("#plot", spec, options);
  before?.finalize();
  byId("plot").dataset.drawn = Number(byId("plot").dataset.drawn ?? 0) + 1;
}

function start() {
  fill(byId("dataset"), study.datasets);
  fill(byId("metric"), study.measures, "val_accuracy");
  fill(byId("second"), { "": "nothing", ...study.measures });
  byId("networks").append(...Object.entries(study.models).map(([model, title]) => {
    const label = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox", value: model, checked: true });
    label.append(box, ` ${title}`);
    return label;
  }));
  const offers = { dataset: [offerConditions, offerAxes, offerNetworks], condition: [offerAxes, offerNetworks] };
  byId("choices").addEventListener("change", event => {
    (offers[event.target.id] ?? []).forEach(offer => offer());
    if (["dataset", "condition", "axis"].includes(event.target.id)) hidden.clear();
    draw();
  });
  byId("download").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    link.download = `${study.study}_runs.csv`;
    link.click();
    URL.revokeObjectURL(link.href);
  });
  addEventListener("resize", draw);
  offers.dataset.forEach(offer => offer());
  draw();
}

start();
