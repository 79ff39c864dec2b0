# One job a cell: the history of its epochs, and its best epoch's model.


rule train:
    input:
        cell_files("history.parquet"),


rule train_cell:
    input:
        unpack(training_inputs),
    output:
        history=HISTORY,
        model=MODEL,
    log:
        f"logs/{{study}}/train/{CELL}.log",
    benchmark:
        f"results/{{study}}/benchmarks/train/{CELL}.tsv"
    conda:
        training_environment()
    resources:
        gpu=by_attempt(gpus_of_a_job),
        gpu_share=by_attempt(gpu_share_of_a_job),
        device=STUDY.device,
        mem_mb=memory_of_a_job,
    params:
        settings=cell_settings,
        checkpoint=checkpoint_of_a_job,
    shell:
        'python "$FREECONV/scripts/train.py" {params.settings} --data {input.data:q} '
        "--folds {input.folds:q} --device {resources.device} "
        "--gpu-share {resources.gpu_share} --threads {threads} "
        "--history {output.history:q} --model-file {output.model:q} "
        "--checkpoint {params.checkpoint:q} 2> {log:q}"
