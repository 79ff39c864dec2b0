# Degrees of weight sharing against accuracy, for studies whose networks differ in it.


rule degrees_of_sharing:
    input:
        history="results/{study}/history.parquet",
        settings="results/{study}/settings.parquet",
        networks=expand(
            "results/{{study}}/networks/{dataset}.parquet", dataset=STUDY.datasets
        ),
    output:
        records="results/{study}/sharing.parquet",
        html=report(
            "results/{study}/tables/sharing.html",
            caption="../report/sharing.rst",
            category="4. Tables",
            subcategory="Weight sharing",
            labels={"table": "Accuracy by the degree of sharing"},
        ),
        csv="results/{study}/tables/sharing.csv",
        md="results/{study}/tables/sharing.md",
        tex="results/{study}/tables/sharing.tex",
    log:
        "logs/{study}/sharing.log",
    conda:
        "../../envs/analysis.yaml"
    shell:
        'python "$FREECONV/scripts/sharing.py" --history {input.history:q} '
        "--settings {input.settings:q} --networks {input.networks:q} "
        "--records {output.records:q} "
        "--tables {output.html:q} {output.csv:q} {output.md:q} {output.tex:q} 2> {log:q}"
