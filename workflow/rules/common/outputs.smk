# Which tables and figures there are, what they are made from, and where a report lists them.


def aggregated_files():
    """The joined records of all runs, and what follows from them."""
    return expand(
        "results/{study}/{frame}.parquet",
        study=STUDY.name,
        frame=outputs.frames_of(STUDY),
    )


def table_files():
    """Every table of the study in every format."""
    return files_of_tables(outputs.tables_of(STUDY))


def files_of_tables(tables):
    """The files of tables in every format."""
    return expand(
        "results/{study}/tables/{table}.{format}",
        study=STUDY.name,
        table=tables,
        format=TABLE_FORMATS,
    )


def frames_of_table(wildcards):
    """The records that a table is made from."""
    return files_of_frame(outputs.table(wildcards.table).frame, STUDY.datasets)


def files_of_frame(frame, datasets):
    """The files of a data frame: one, or one per data set."""
    if frame in outputs.FRAMES_OF_A_DATASET:
        return [
            f"results/{STUDY.name}/{frame}/{dataset}.parquet" for dataset in datasets
        ]
    return [f"results/{STUDY.name}/{frame}.parquet"]


def figure_files():
    """Every figure of every data set of the study, as bitmap and as vectors."""
    return [
        f"results/{STUDY.name}/figures/{dataset}/{figure}.{format}"
        for dataset in STUDY.datasets
        for figure in outputs.figures_of(STUDY, dataset)
        for format in ("png", "svg")
    ]


def filter_pictures(wildcards):
    """A picture of every free network's first layer; or one clear error, without models."""
    if not STUDY.keep_models:
        raise WorkflowError(
            f"keep_models: false, so study {STUDY.name} has no models whose filters could be drawn; "
            "with keep_models: true, runs trained from then on have (those that are there would be "
            "trained again)"
        )
    pattern = f"results/{{study}}/filters/{RUN}.png"
    free = STUDY.free_models()
    return [named_after(run, pattern) for run in STUDY.runs() if run.model in free]


def frame_of_figure(wildcards):
    """The records that a figure is drawn from."""
    return files_of_frame(outputs.figure(wildcards.figure).frame, [wildcards.dataset])


def choices_of_figure(wildcards):
    """What the study says of how a figure is drawn, as JSON."""
    return json.dumps(outputs.choices_of(STUDY, outputs.figure(wildcards.figure)))


def category_of_table(wildcards):
    """Where a report lists a table."""
    frame = outputs.table(wildcards.table).frame
    categories = {
        "conclusions": "2. Conclusions",
        "comparison": "3. Comparison with the paper",
    }
    return categories.get(frame, "4. Tables")


def subcategory_of_table(wildcards):
    """Accuracies are listed by table, since each has several statistics and data sets."""
    table = outputs.table(wildcards.table)
    return table.title if category_of_table(wildcards) == "4. Tables" else None


def labels_of_table(wildcards):
    """How a report names a table."""
    table = outputs.table(wildcards.table)
    if not table.statistic:
        key = "table" if category_of_table(wildcards) == "4. Tables" else "result"
        return {key: table.title}
    datasets = [table.dataset] if table.dataset else STUDY.datasets
    return {
        "data": ", ".join(map(labels.dataset_title, datasets)),
        "statistic": table.statistic.replace("_", " "),
    }


def compares(wildcards):
    """Whether a figure sets the study beside the paper, and belongs to its comparison."""
    return outputs.figure(wildcards.figure).frame == "comparison"


def labels_of_figure(wildcards):
    """How a report names a figure."""
    figure = outputs.figure(wildcards.figure)
    if compares(wildcards):
        title = labels.dataset_title(wildcards.dataset)
        return {"result": f"{figure.title}: {title}"}
    return {"figure": figure.title, "paper": figure.paper or "not in the paper"}


def category_of_figure(wildcards):
    return "3. Comparison with the paper" if compares(wildcards) else "5. Figures"


def subcategory_of_figure(wildcards):
    """Figures are listed by data set; what is compared, in one list."""
    return None if compares(wildcards) else labels.dataset_title(wildcards.dataset)


def overview_settings():
    """What the overview says of the study and no record of a run does."""
    return json.dumps(
        {
            "study": STUDY.name,
            "seed": STUDY.seed,
            "seed_policy": STUDY.seed_policy,
            "fold_count": STUDY.folds.count,
            "fold_method": STUDY.folds.method,
        }
    )


def overview_pictures():
    """(data set, conclusion, file) of the figures that the overview shows beside conclusions."""
    return [
        (dataset, number, f"results/{STUDY.name}/figures/{dataset}/{figure}.png")
        for dataset in STUDY.datasets
        for number, figure in outputs.CONCLUSION_FIGURES.items()
        if figure in outputs.figures_of(STUDY, dataset)
    ]


def picture_arguments():
    """The same, as arguments."""
    return shlex.join(
        word
        for dataset, number, file in overview_pictures()
        for word in ("--picture", dataset, str(number), file)
    )


def overview_links():
    """What lies beside the overview: heading -> title -> address from there, as JSON."""
    figures = {
        f"{labels.dataset_title(dataset)}: {outputs.figure(name).title}": f"figures/{dataset}/{name}.png"
        for dataset in STUDY.datasets
        for name in outputs.figures_of(STUDY, dataset)
    }
    tables = {
        title_of_table(name): f"tables/{name}.html" for name in outputs.tables_of(STUDY)
    }
    return json.dumps(
        {
            "Explorer": {"Explore all curves": "explore.html"},
            "Figures": figures,
            "Tables": tables,
            "Report": {"Report (after make report)": "../../report.html"},
        }
    )


def title_of_table(name):
    """The title of a table, with what sets it off from others of the same title."""
    table = outputs.table(name)
    words = [
        table.title,
        table.dataset and labels.dataset_title(table.dataset),
        table.statistic and table.statistic.replace("_", " "),
    ]
    return ", ".join(filter(None, words))


def where_to_look():
    """How long a run took, and what a user may want to open after it, of what is there."""
    results, logs = Path(f"results/{STUDY.name}"), Path(f"logs/{STUDY.name}")
    places = {
        results
        / "overview.html": "the paper's conclusions, and where the numbers come from",
        results / "explore.html": "curves to choose, compare and download",
        results / "figures": "curves, filter distances, perturbations (PNG, SVG)",
        results
        / "tables": "the paper's tables; comparison and conclusions (CSV, Markdown, LaTeX, HTML)",
        results
        / "history.parquet": "one row per epoch of all runs; evaluation and summary beside it",
        logs: "one log per job",
    }
    lines = [f"  {path}  {text}" for path, text in places.items() if path.exists()]
    overview = results / "overview.html"
    first = (
        [f"\nOpen {overview.resolve().as_uri()} first."] if overview.exists() else []
    )
    took = format_duration(time.time() - STARTED)
    return "\n".join(
        [f"\nStudy {STUDY.name}, finished in {took}. Where to look:", *lines, *first]
    )
