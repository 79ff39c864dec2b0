# What the rules of a study's frames are given.


def trial_histories(wildcards):
    """The history of every trial; or one clear error, in a study without any."""
    try:
        return [named_after(trial, TRIAL_HISTORY) for trial in STUDY.trials()]
    except InputError as error:
        raise WorkflowError(str(error)) from None


def extension_of_networks(wildcards):
    """The extension that the networks of a data set are made by, as the input of a rule."""
    path = STUDY.extension_for(STUDY.datasets[wildcards.dataset].network)
    return [path] if path else []


def extension_of_examples(wildcards):
    """The extension that images are augmented by, as the input of a rule."""
    path = STUDY.extension_for(*STUDY.augmentations)
    return [path] if path else []


def extension_input(wildcards, input):
    """The extension of a rule's input as an argument of its script."""
    return extension_argument("".join(input.extension))


def network_settings(wildcards):
    """The networks that learn a data set, as an argument of the script that lists their layers."""
    return as_json(STUDY.network_settings(wildcards.dataset))
