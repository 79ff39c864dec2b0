# The hyperparameter search: one job a trial, and a table of all. No part of `all`.


rule search:
    input:
        expand(
            "results/{study}/tables/search.{format}",
            study=STUDY.name,
            format=TABLE_FORMATS,
        ),
        f"results/{STUDY.name}/search.parquet",


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
        mem_mb=memory_of_a_job,
    params:
        settings=trial_settings,
        checkpoint=checkpoint_of_a_job,
    shell:
        'python "$FREECONV/scripts/train.py" {params.settings} --data {input.data:q} '
        "--folds {input.folds:q} --device {resources.device} "
        "--gpu-share {resources.gpu_share} --threads {threads} "
        "--history {output:q} --checkpoint {params.checkpoint:q} 2> {log:q}"


rule gather_trials:
    input:
        trial_histories,
    output:
        records="results/{study}/search.parquet",
        csv="results/{study}/tables/search.csv",
        md="results/{study}/tables/search.md",
        tex="results/{study}/tables/search.tex",
        html=report(
            "results/{study}/tables/search.html",
            caption="../report/search.rst",
            category="4. Tables",
            subcategory="Hyperparameter search",
            labels={"table": "search"},
        ),
    log:
        "logs/{study}/search.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        # Snakemake compares parameters, and so sees that a trial is left out.
        trials=trial_histories,
    shell:
        'python "$FREECONV/scripts/search.py" --histories {input:q} --records {output.records:q} '
        "--tables {output.csv:q} {output.md:q} {output.tex:q} {output.html:q} 2> {log:q}"
