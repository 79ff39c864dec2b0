# The learned filters of the free convolutional networks, of a study that keeps its models.


def filter_pictures(wildcards):
    """A picture of every free network's first layer; or one clear error, without models."""
    if not STUDY.keep_models:
        raise WorkflowError(
            f"keep_models: false, so study {STUDY.name} has no models whose filters could be drawn; "
            "with keep_models: true, cells trained from then on have (those that are there would be "
            "trained again)"
        )
    pattern = f"results/{{study}}/filters/{CELL}.png"
    return [named_after(cell, pattern) for cell in STUDY.cells() if cell.model == "fcn"]


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
