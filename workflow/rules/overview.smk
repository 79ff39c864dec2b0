# The page that a report opens with: verdicts, comparison and provenance of the study.


rule overview:
    input:
        history="results/{study}/history.parquet",
        settings="results/{study}/settings.parquet",
        provenance="results/{study}/provenance.parquet",
        comparison="results/{study}/comparison.parquet",
        conclusions="results/{study}/conclusions.parquet",
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
    shell:
        'python "$FREECONV/scripts/overview.py" {params.settings} --history {input.history:q} '
        "--settings {input.settings:q} --provenance {input.provenance:q} "
        "--comparison {input.comparison:q} --conclusions {input.conclusions:q} "
        "--output {output:q} 2> {log:q}"
