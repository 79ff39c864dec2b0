# The records of all cells in one file each, and their summary.


rule aggregate:
    input:
        histories=cell_files("history.parquet"),
        evaluations=cell_files("evaluation.parquet"),
    output:
        history="results/{study}/history.parquet",
        evaluation="results/{study}/evaluation.parquet",
        summary="results/{study}/summary.parquet",
    log:
        "logs/{study}/aggregate.log",
    conda:
        "../../envs/analysis.yaml"
    shell:
        'python "$FREECONV/scripts/aggregate.py" --histories {input.histories:q} '
        "--evaluations {input.evaluations:q} --history {output.history:q} "
        "--evaluation {output.evaluation:q} --summary {output.summary:q} 2> {log:q}"
