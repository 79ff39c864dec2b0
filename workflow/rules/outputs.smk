# Tables, figures and the pages of a study, for whatever the study covers.


rule tables:
    input:
        table_files(),


rule figures:
    input:
        figure_files(),


rule filters:
    input:
        filter_pictures,


rule search:
    input:
        files_of_tables(["search"]),


rule table:
    input:
        frames_of_table,
    output:
        report(
            "results/{study}/tables/{table}.html",
            caption="../report/table.rst",
            category=category_of_table,
            subcategory=subcategory_of_table,
            labels=labels_of_table,
        ),
        "results/{study}/tables/{table}.csv",
        "results/{study}/tables/{table}.md",
        "results/{study}/tables/{table}.tex",
    log:
        "logs/{study}/tables/{table}.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        # Snakemake compares parameters, and so sees that a data set is left out.
        frames=frames_of_table,
    shell:
        'python "$FREECONV/scripts/report.py" table --table {wildcards.table:q} '
        "--frames {input:q} --output {output:q} 2> {log:q}"


rule figure:
    input:
        frame_of_figure,
    output:
        report(
            "results/{study}/figures/{dataset}/{figure}.png",
            caption="../report/figure.rst",
            category=category_of_figure,
            subcategory=subcategory_of_figure,
            labels=labels_of_figure,
        ),
        "results/{study}/figures/{dataset}/{figure}.svg",
    log:
        "logs/{study}/figures/{dataset}/{figure}.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        choices=choices_of_figure,
    shell:
        'python "$FREECONV/scripts/draw.py" figure --figure {wildcards.figure:q} '
        "--dataset {wildcards.dataset:q} --frame {input:q} --choices {params.choices:q} --output {output:q} 2> {log:q}"


rule filter_picture:
    input:
        MODEL,
    output:
        f"results/{{study}}/filters/{RUN}.png",
        f"results/{{study}}/filters/{RUN}.svg",
    log:
        f"logs/{{study}}/filters/{RUN}.log",
    conda:
        "../../envs/train.yaml"
    params:
        title="{dataset}, {model}, {augmentation} {level}, vcp {vcp}, training share {training_share}, fold {fold}, repeat {repeat}",
    shell:
        'python "$FREECONV/scripts/draw.py" filters --model-file {input:q} '
        "--title {params.title:q} --output {output:q} 2> {log:q}"


rule overview:
    input:
        history="results/{study}/history.parquet",
        settings="results/{study}/settings.parquet",
        provenance="results/{study}/provenance.parquet",
        comparison="results/{study}/comparison.parquet",
        conclusions="results/{study}/conclusions.parquet",
        pictures=[file for _, _, file in overview_pictures()],
    output:
        report(
            "results/{study}/overview.html",
            caption="../report/overview.rst",
            category="1. Overview",
            labels={"result": "Verdicts, comparison and provenance"},
        ),
    log:
        "logs/{study}/overview.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        settings=overview_settings(),
        pictures=picture_arguments(),
        links=overview_links(),
    shell:
        'python "$FREECONV/scripts/report.py" overview --background {params.settings:q} --history {input.history:q} '
        "--settings {input.settings:q} --provenance {input.provenance:q} "
        "--comparison {input.comparison:q} --conclusions {input.conclusions:q} "
        "{params.pictures} --links {params.links:q} --output {output:q} 2> {log:q}"


rule explorer:
    input:
        "results/{study}/history.parquet",
    output:
        report(
            "results/{study}/explore.html",
            caption="../report/explorer.rst",
            category="6. Explorer",
            labels={"result": "Curves by data set, metric and network"},
        ),
    log:
        "logs/{study}/explorer.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        titles=json.dumps(STUDY.network_titles()),
    shell:
        'python "$FREECONV/scripts/report.py" explorer --study {wildcards.study:q} --history {input:q} '
        "--titles {params.titles:q} --output {output:q} 2> {log:q}"


onsuccess:
    # Who asks for the status has it.
    if {job.rule.name for job in workflow.dag.jobs} != {"status"}:
        print(where_to_look())
