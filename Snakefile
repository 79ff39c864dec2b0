# FreeConv: trains the cells of a study and turns them into tables, figures and a report.

from snakemake.utils import min_version

min_version("9.0")


# Of this file, also where another workflow imports it as a module.
ROOT = str(workflow.current_basedir)

# A study is a configuration file: one on the command line replaces the paper's, adds nothing to it.
if not workflow.overwrite_configfiles:

    configfile: f"{ROOT}/config/config.yaml"


include: "workflow/rules/common.smk"


complete_config(config)
STUDY = read_study(config, f"{ROOT}/workflow/schemas/config.schema.yaml")


wildcard_constraints:
    **wildcard_patterns(),


report: "workflow/report/workflow.rst"


include: "workflow/rules/device.smk"
include: "workflow/rules/states.smk"
include: "workflow/rules/progress.smk"
include: "workflow/rules/status.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/folds.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/aggregate.smk"
include: "workflow/rules/paper.smk"
include: "workflow/rules/sharing.smk"
include: "workflow/rules/filters.smk"
include: "workflow/rules/search.smk"
include: "workflow/rules/overview.smk"


rule all:
    default_target: True
    input:
        table_files(),
        figure_files(),
        aggregated_files(),
        f"results/{STUDY.name}/overview.html",
