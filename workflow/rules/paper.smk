# The tables and figures of the paper, for whatever the study covers.


rule table:
    input:
        "results/{study}/summary.parquet",
    output:
        report(
            "results/{study}/tables/{statistic}/{table}.csv",
            caption="../report/table.rst",
            category="Tables",
            subcategory=title_of_table,
            labels={"table": "{table}", "statistic": "{statistic}"},
        ),
        "results/{study}/tables/{statistic}/{table}.md",
        "results/{study}/tables/{statistic}/{table}.tex",
    log:
        "logs/{study}/tables/{statistic}/{table}.log",
    conda:
        "../../envs/analysis.yaml"
    shell:
        'python "$FREECONV/scripts/table.py" --summary {input:q} --table {wildcards.table:q} '
        "--statistic {wildcards.statistic:q} --output {output:q} 2> {log:q}"


rule figure:
    input:
        frame_of_figure,
    output:
        report(
            "results/{study}/figures/{dataset}/{figure}.png",
            caption="../report/figure.rst",
            category="Figures",
            subcategory="{dataset}",
            labels={"data set": "{dataset}", "figure": title_of_figure},
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
