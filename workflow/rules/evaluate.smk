# One job a cell: its best model on the validation fold, under a sweep of perturbations.


rule evaluate_cell:
    input:
        # Written with the model, which alone decides: in a clone, which has the history but
        # no model, their times mean nothing.
        history=ancient(f"results/{{study}}/cells/{CELL}/history.parquet"),
        model=f"results/{{study}}/cells/{CELL}/model.keras",
        data="data/{dataset}.npy",
        folds="results/{study}/folds/{dataset}.parquet",
    output:
        f"results/{{study}}/cells/{CELL}/evaluation.parquet",
    log:
        f"logs/{{study}}/evaluate/{CELL}.log",
    benchmark:
        f"results/{{study}}/benchmarks/evaluate/{CELL}.tsv"
    conda:
        "../../envs/train.yaml"
    resources:
        gpu=gpus_of_a_job(),
        device=STUDY.device,
        mem_mb=4000,
    params:
        strengths=evaluation_strengths(),
        seed=STUDY.seed,
    shell:
        'python "$FREECONV/scripts/evaluate.py" --history {input.history:q} '
        "--model-file {input.model:q} --data {input.data:q} --folds {input.folds:q} "
        "{params.strengths} --seed {params.seed} --device {resources.device} "
        "--threads {threads} --output {output:q} 2> {log:q}"
