# Data sets: their files as published, one array each, and the folds of its images.


rule download:
    output:
        # Not deleted before: where the file is right, no network is needed.
        update("data/raw/{source}/{file}"),
    log:
        "logs/download/{source}/{file}.log",
    # Nodes of clusters rarely reach the network; where jobs run here anyway, it changes nothing.
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        content=download_content,
        addresses=download_addresses,
    shell:
        'python "$FREECONV/scripts/data.py" download {params.content} {params.addresses} '
        "--output {output:q} 2> {log:q}"


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
        format=format_of_images,
        files=files_of_images,
        content=content_of_files,
    shell:
        'python "$FREECONV/scripts/data.py" prepare {params.format} {params.files} '
        "--output {output:q} 2> {log:q}"


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
        'python "$FREECONV/scripts/data.py" folds {params.settings} --data {input:q} '
        "--local={params.local:q} --output {output:q} 2> {log:q}"
