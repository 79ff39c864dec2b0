# Which image is in which fold's validation part.


rule folds:
    input:
        "data/{dataset}.npy",
    output:
        FOLDS,
    log:
        "logs/{study}/folds/{dataset}.log",
    conda:
        "../../envs/data.yaml"
    params:
        settings=fold_settings,
        local=local_files_of_folds,
    shell:
        'python "$FREECONV/scripts/folds.py" {params.settings} --data {input:q} '
        "--local={params.local:q} --output {output:q} 2> {log:q}"
