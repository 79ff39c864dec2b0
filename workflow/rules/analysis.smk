# The frames of a study: what all runs recorded, what follows from it, and what networks look like.


rule aggregate:
    input:
        histories=run_files("history.parquet"),
        evaluations=run_files("evaluation.parquet"),
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
        runs=run_files(""),
    shell:
        'python "$FREECONV/scripts/analyse.py" aggregate --runs {params.runs:q} '
        "--history {output.history:q} --evaluation {output.evaluation:q} "
        "--settings {output.settings:q} --provenance {output.provenance:q} "
        "--summary {output.summary:q} 2> {log:q}"


rule compare:
    input:
        history="results/{study}/history.parquet",
        settings="results/{study}/settings.parquet",
    output:
        "results/{study}/comparison.parquet",
    log:
        "logs/{study}/comparison.log",
    conda:
        "../../envs/analysis.yaml"
    shell:
        'python "$FREECONV/scripts/analyse.py" comparison --history {input.history:q} '
        "--settings {input.settings:q} --output {output:q} 2> {log:q}"


rule conclude:
    input:
        history="results/{study}/history.parquet",
        settings="results/{study}/settings.parquet",
        evaluation="results/{study}/evaluation.parquet",
    output:
        "results/{study}/conclusions.parquet",
    log:
        "logs/{study}/conclusions.log",
    conda:
        "../../envs/analysis.yaml"
    shell:
        'python "$FREECONV/scripts/analyse.py" conclusions --history {input.history:q} '
        "--settings {input.settings:q} --evaluation {input.evaluation:q} --output {output:q} 2> {log:q}"


rule degrees_of_sharing:
    input:
        history="results/{study}/history.parquet",
        settings="results/{study}/settings.parquet",
        evaluation="results/{study}/evaluation.parquet",
        networks=expand(
            "results/{{study}}/networks/{dataset}.parquet", dataset=STUDY.datasets
        ),
    output:
        "results/{study}/sharing.parquet",
    log:
        "logs/{study}/sharing.log",
    conda:
        "../../envs/analysis.yaml"
    shell:
        'python "$FREECONV/scripts/analyse.py" sharing --history {input.history:q} '
        "--settings {input.settings:q} --networks {input.networks:q} "
        "--evaluation {input.evaluation:q} --output {output:q} 2> {log:q}"


rule gather_trials:
    input:
        trial_histories,
    output:
        "results/{study}/search.parquet",
    log:
        "logs/{study}/search.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        # Snakemake compares parameters, and so sees that a trial is left out.
        trials=trial_histories,
    shell:
        'python "$FREECONV/scripts/analyse.py" search --histories {input:q} '
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
        'python "$FREECONV/scripts/describe.py" networks --dataset {wildcards.dataset:q} --data {input.data:q} '
        "--settings {params.settings:q} {params.extension} --output {output:q} 2> {log:q}"


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
        rotation_centre=STUDY.protocol.rotation_centre,
        backend=STUDY.backend,
        extension=extension_input,
    shell:
        'python "$FREECONV/scripts/describe.py" examples --dataset {wildcards.dataset:q} --data {input.data:q} '
        "--rotation-centre {params.rotation_centre:q} --backend {params.backend:q} {params.extension} "
        "--output {output:q} 2> {log:q}"
