# Data sets: their files as published, and one array each.


rule download:
    output:
        "data/raw/{source}/{file}",
    log:
        "logs/download/{source}/{file}.log",
    # Nodes of clusters rarely reach the network; where jobs run here anyway, it changes nothing.
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        arguments=download_arguments,
    shell:
        'python "$FREECONV/scripts/download.py" {params.arguments} --output {output:q} 2> {log:q}'


rule prepare:
    input:
        raw_files,
    output:
        "data/{dataset}.npy",
    log:
        "logs/prepare/{dataset}.log",
    conda:
        "../../envs/data.yaml"
    params:
        arguments=preparing_arguments,
        content=content_of_files,
    shell:
        'python "$FREECONV/scripts/prepare.py" {params.arguments} --output {output:q} 2> {log:q}'
