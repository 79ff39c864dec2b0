# Data sets: their files as published, and one array each.


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
        'python "$FREECONV/scripts/download.py" {params.content} {params.addresses} '
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
        'python "$FREECONV/scripts/prepare.py" {params.format} {params.files} '
        "--output {output:q} 2> {log:q}"
