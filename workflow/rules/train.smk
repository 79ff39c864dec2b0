# One training and one evaluation per run, and one training per trial of the hyperparameter search.


rule train:
    input:
        run_files("history.parquet"),


rule train_run:
    input:
        unpack(training_inputs),
    output:
        history=HISTORY,
        trained=TRAINED,
    log:
        f"logs/{{study}}/train/{RUN}.log",
    benchmark:
        f"results/{{study}}/benchmarks/train/{RUN}.tsv"
    conda:
        training_environment()
    resources:
        gpu=by_attempt(gpus_of_a_job),
        gpu_share=by_attempt(gpu_share_of_a_job),
        device=STUDY.device,
        mem_mb=memory_of_a_training,
    params:
        settings=run_settings,
        trained=what_training_leaves,
        checkpoint=checkpoint_of_a_job,
    shell:
        'python "$FREECONV/scripts/train.py" {params.settings} --data {input.data:q} '
        "--folds {input.folds:q} --device {resources.device} "
        "--gpu-share {resources.gpu_share} --threads {threads} "
        "--history {output.history:q} {params.trained} {output.trained:q} "
        "--checkpoint {params.checkpoint:q} 2> {log:q}"


rule train_trial:
    input:
        unpack(trial_inputs),
    output:
        TRIAL_HISTORY,
    log:
        f"logs/{{study}}/search/{TRIAL}.log",
    benchmark:
        f"results/{{study}}/benchmarks/search/{TRIAL}.tsv"
    conda:
        training_environment()
    resources:
        gpu=by_attempt(gpus_of_a_job),
        gpu_share=by_attempt(gpu_share_of_a_job),
        device=STUDY.device,
        mem_mb=memory_of_a_trial,
    params:
        settings=trial_settings,
        checkpoint=checkpoint_of_a_job,
    shell:
        'python "$FREECONV/scripts/train.py" {params.settings} --data {input.data:q} '
        "--folds {input.folds:q} --device {resources.device} "
        "--gpu-share {resources.gpu_share} --threads {threads} "
        "--history {output:q} --checkpoint {params.checkpoint:q} 2> {log:q}"


rule evaluate_run:
    input:
        unpack(evaluation_inputs),
    output:
        EVALUATION,
    log:
        f"logs/{{study}}/evaluate/{RUN}.log",
    benchmark:
        f"results/{{study}}/benchmarks/evaluate/{RUN}.tsv"
    conda:
        training_environment()
    resources:
        gpu=by_attempt(gpus_of_a_job) if STUDY.keep_models else 0,
        gpu_share=by_attempt(gpu_share_of_a_job),
        device=STUDY.device,
        mem_mb=memory_of_a_training if STUDY.keep_models else 100,
    params:
        settings=evaluation_settings,
    shell:
        'python "$FREECONV/scripts/evaluate.py" --history {input.history:q} '
        "--model-file {input.trained:q} --data {input.data:q} --folds {input.folds:q} "
        "{params.settings} --device {resources.device} "
        "--gpu-share {resources.gpu_share} "
        "--threads {threads} --output {output:q} 2> {log:q}"
        if STUDY.keep_models
        else "mv {input.trained:q} {output:q} 2> {log:q}"
