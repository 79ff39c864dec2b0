# The workflow is workflow/Snakefile, where the workflow catalogue and snakedeploy look for it.

# As by `include:`, which would leave this file without a default target.
workflow.include("workflow/Snakefile", overwrite_default_target=True)
