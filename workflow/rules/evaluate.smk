# One job a cell: its best model on the validation fold, under a sweep of perturbations.


rule evaluate_cell:
    input:
        unpack(evaluation_inputs),
    output:
        EVALUATION,
    log:
        f"logs/{{study}}/evaluate/{CELL}.log",
    benchmark:
        f"results/{{study}}/benchmarks/evaluate/{CELL}.tsv"
    conda:
        training_environment()
    resources:
        gpu=by_attempt(gpus_of_a_job),
        gpu_share=by_attempt(gpu_share_of_a_job),
        device=STUDY.device,
        mem_mb=memory_of_a_job,
    params:
        settings=evaluation_settings,
        used=model_no_longer_needed,
    shell:
        'python "$FREECONV/scripts/evaluate.py" --history {input.history:q} '
        "--model-file {input.model:q} --data {input.data:q} --folds {input.folds:q} "
        "{params.settings} --device {resources.device} "
        "--gpu-share {resources.gpu_share} "
        "--threads {threads} --output {output:q} 2> {log:q} && rm -f {params.used}"
