# The tables and figures of the paper, for whatever the study covers.


rule tables:
    input:
        table_files(),


rule figures:
    input:
        figure_files(),


rule table:
    input:
        "results/{study}/summary.parquet",
    output:
        report(
            "results/{study}/tables/{statistic}/{table}.html",
            caption="../report/table.rst",
            category="4. Tables",
            subcategory=title_of_table,
            labels=labels_of_table,
        ),
        "results/{study}/tables/{statistic}/{table}.csv",
        "results/{study}/tables/{statistic}/{table}.md",
        "results/{study}/tables/{statistic}/{table}.tex",
    log:
        "logs/{study}/tables/{statistic}/{table}.log",
    conda:
        "../../envs/analysis.yaml"
    shell:
        'python "$FREECONV/scripts/table.py" --summary {input:q} --table {wildcards.table:q} '
        "--statistic {wildcards.statistic:q} --output {output:q} 2> {log:q}"


rule architectures:
    input:
        expand("results/{{study}}/networks/{dataset}.parquet", dataset=STUDY.datasets),
    output:
        report(
            "results/{study}/tables/architectures.html",
            caption="../report/architectures.rst",
            category="4. Tables",
            subcategory="Architectures",
            labels={"table": "Layers of the networks"},
        ),
        "results/{study}/tables/architectures.csv",
        "results/{study}/tables/architectures.md",
        "results/{study}/tables/architectures.tex",
    log:
        "logs/{study}/tables/architectures.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        # Snakemake compares parameters, and so sees that a data set is left out.
        datasets=list(STUDY.datasets),
    shell:
        'python "$FREECONV/scripts/architectures.py" --networks {input:q} '
        "--output {output:q} 2> {log:q}"


rule networks:
    input:
        data="data/{dataset}.npy",
        extension=extension_of_networks,
    output:
        "results/{study}/networks/{dataset}.parquet",
    log:
        "logs/{study}/networks/{dataset}.log",
    conda:
        "../../envs/train.yaml"
    params:
        settings=network_settings,
        extension=extension_input,
    shell:
        'python "$FREECONV/scripts/networks.py" --dataset {wildcards.dataset:q} --data {input.data:q} '
        "{params.settings} {params.extension} --output {output:q} 2> {log:q}"


rule examples:
    input:
        data="data/{dataset}.npy",
        extension=extension_of_examples,
    output:
        "results/{study}/examples/{dataset}.parquet",
    log:
        "logs/{study}/examples/{dataset}.log",
    conda:
        "../../envs/train.yaml"
    params:
        edge_noise=STUDY.protocol.edge_noise,
        backend=STUDY.backend,
        extension=extension_input,
    shell:
        'python "$FREECONV/scripts/examples.py" --dataset {wildcards.dataset:q} --data {input.data:q} '
        "--edge-noise {params.edge_noise:q} --backend {params.backend:q} {params.extension} "
        "--output {output:q} 2> {log:q}"


rule compare:
    input:
        history="results/{study}/history.parquet",
        settings="results/{study}/settings.parquet",
    output:
        records="results/{study}/comparison.parquet",
        html=report(
            "results/{study}/tables/comparison.html",
            caption="../report/comparison.rst",
            category="3. Comparison with the paper",
            labels={"result": "Published and our numbers"},
        ),
        csv="results/{study}/tables/comparison.csv",
        md="results/{study}/tables/comparison.md",
        tex="results/{study}/tables/comparison.tex",
    log:
        "logs/{study}/compare.log",
    conda:
        "../../envs/analysis.yaml"
    shell:
        'python "$FREECONV/scripts/compare.py" --history {input.history:q} '
        "--settings {input.settings:q} --records {output.records:q} "
        "--tables {output.html:q} {output.csv:q} {output.md:q} {output.tex:q} 2> {log:q}"


rule conclude:
    input:
        history="results/{study}/history.parquet",
        settings="results/{study}/settings.parquet",
    output:
        records="results/{study}/conclusions.parquet",
        html=report(
            "results/{study}/tables/conclusions.html",
            caption="../report/conclusions.rst",
            category="2. Conclusions",
            labels={"result": "Every criterion of the paper's conclusions"},
        ),
        csv="results/{study}/tables/conclusions.csv",
        md="results/{study}/tables/conclusions.md",
        tex="results/{study}/tables/conclusions.tex",
    log:
        "logs/{study}/conclude.log",
    conda:
        "../../envs/analysis.yaml"
    shell:
        'python "$FREECONV/scripts/conclude.py" --history {input.history:q} '
        "--settings {input.settings:q} --records {output.records:q} "
        "--tables {output.html:q} {output.csv:q} {output.md:q} {output.tex:q} 2> {log:q}"


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
    shell:
        'python "$FREECONV/scripts/figure.py" --figure {wildcards.figure:q} '
        "--dataset {wildcards.dataset:q} --frame {input:q} --output {output:q} 2> {log:q}"


onsuccess:
    print(where_to_look())
