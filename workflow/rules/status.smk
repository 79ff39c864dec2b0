# How far the study is: what is done, running, stale and why, or missing, and the time that is left.


rule status:
    log:
        f"logs/{STUDY.name}/status.log",
    localrule: True
    run:
        text = progress()
        Path(log[0]).write_text(text)
        print(text)
