# Records, settings and provenance of all cells in one file each, and a summary of the records.


rule aggregate:
    input:
        histories=cell_files("history.parquet"),
        evaluations=cell_files("evaluation.parquet"),
    output:
        history="results/{study}/history.parquet",
        evaluation="results/{study}/evaluation.parquet",
        settings="results/{study}/settings.parquet",
        provenance="results/{study}/provenance.parquet",
        summary="results/{study}/summary.parquet",
    log:
        "logs/{study}/aggregate.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        # Folders, each once: a system's longest command would not hold all files by name.
        cells=cell_files(""),
    shell:
        'python "$FREECONV/scripts/aggregate.py" --cells {params.cells:q} '
        "--history {output.history:q} --evaluation {output.evaluation:q} "
        "--settings {output.settings:q} --provenance {output.provenance:q} "
        "--summary {output.summary:q} 2> {log:q}"
