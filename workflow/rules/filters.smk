# The learned filters of the free convolutional networks, of a study that keeps its models.


rule filters:
    input:
        filter_pictures,


rule filter_picture:
    input:
        MODEL,
    output:
        f"results/{{study}}/filters/{CELL}.png",
        f"results/{{study}}/filters/{CELL}.svg",
    log:
        f"logs/{{study}}/filters/{CELL}.log",
    conda:
        "../../envs/train.yaml"
    params:
        title="{dataset}, {model}, {augmentation} {level}, vcp {vcp}, fold {fold}",
    shell:
        'python "$FREECONV/scripts/filters.py" --model-file {input:q} '
        "--title {params.title:q} --output {output:q} 2> {log:q}"
