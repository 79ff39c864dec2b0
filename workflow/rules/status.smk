# Which results of the study are valid, which are stale and why, and which are missing.


rule status:
    log:
        f"logs/{STUDY.name}/status.log",
    localrule: True
    run:
        text = describe_states(states())
        Path(log[0]).write_text(text)
        print(text)
