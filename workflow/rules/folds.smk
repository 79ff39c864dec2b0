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
    shell:
        'python "$FREECONV/scripts/folds.py" {params.settings} --data {input:q} '
        "--output {output:q} 2> {log:q}"
