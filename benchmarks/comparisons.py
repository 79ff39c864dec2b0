"""Which measurements are divided by which, and what is aimed at."""

from typing import NamedTuple

from benchmarks import augmentation, epochs, fixed_costs, grid, layers, stacks


class Comparison(NamedTuple):
    """A ratio of two times of a case, or a time by itself.

    Attributes:
        subject, case: of the measurements.
        words: what it says.
        above: implementations, of which the fastest counts.
        below: those that its median is divided by, likewise; none for the median itself.
        side: `at most` or `at least`.
        limit: what is aimed at; None where nothing is.
    """

    subject: str
    case: str
    words: str
    above: tuple[str, ...]
    below: tuple[str, ...] = ()
    side: str = ""
    limit: float | None = None


class Compared(NamedTuple):
    """A comparison with its outcome.

    Attributes:
        subject, case, words, side, limit: see `Comparison`.
        value: the ratio, or the median.
        unit: of the value; empty for a ratio.
        verdict: `met`, `missed`, `not measured`, or nothing where nothing is aimed at.
    """

    subject: str
    case: str
    words: str
    value: float | None
    unit: str
    side: str
    limit: float | None
    verdict: str


def compare(comparisons, measurements):
    """Make comparisons of the times that were measured.

    Args:
        comparisons: list of `Comparison`.
        measurements: list of `harness.Measurement`.

    Returns:
        List of `Compared`.
    """
    times = {
        (row.subject, row.case, row.implementation): row
        for row in measurements
        if row.metric == "time" and row.median is not None
    }
    return [_compare(comparison, times) for comparison in comparisons]


def _compare(comparison, times):
    subject, case, words, above, below, side, limit = comparison
    fastest, reference = (_fastest(times, subject, case, names) for names in (above, below))
    value, unit = None, ""
    if fastest and reference:
        value = fastest.median / reference.median
    elif fastest and not below:
        value, unit = fastest.median, fastest.unit
    return Compared(subject, case, words, value, unit, side, limit, _verdict(value, side, limit))


def _fastest(times, subject, case, names):
    rows = [times[subject, case, name] for name in names if (subject, case, name) in times]
    return min(rows, key=lambda row: row.median, default=None)


def _verdict(value, side, limit):
    if limit is None:
        return ""
    if value is None:
        return "not measured"
    met = value <= limit if side == "at most" else value >= limit
    return "met" if met else "missed"


def comparisons(subjects, options):
    """Every `Comparison` of the given subjects in a run with `harness.Options`."""
    makers = {
        "layers": _of_layers,
        "epochs": _of_epochs,
        "augmentation": _of_augmentation,
        "fixed_costs": _of_fixed_costs,
        "grid": _of_grid,
    }
    return [
        comparison
        for subject, maker in makers.items()
        if subject in subjects
        for comparison in maker(options)
    ]


def _of_layers(options):
    ours = (layers.OURS,)
    made = []
    for network, floor in {"mnist": 2.6, "cifar10": 2.1}.items():
        case = ("layers", layers.network_case(network, stacks.BATCHES[network]))
        default, peers = layers.DEFAULT_PEER, tuple(layers.LOCALLY_CONNECTED.values())
        made += [
            Comparison(*case, "ours / floor", ours, (layers.FLOOR,), "at most", floor),
            Comparison(*case, "ours / Conv2D", ours, (layers.CONV,), "at most", 1.0),
            Comparison(*case, f"{default} / ours", (default,), ours, "at least", 3.5),
            Comparison(*case, "best LocallyConnected2D / ours", peers, ours, "at least", 2.0),
            Comparison(*case, "PyTorch / ours", (layers.TORCH,), ours, "at least", 3.0),
            Comparison(*case, "JAX / ours", (layers.JAX,), ours, "at least", 4.0),
        ]
    for layer in layers.single_layers(options):
        case = layers.layer_case(*layer, stacks.BATCHES[layer[0]])
        made.append(
            Comparison("layers", case, "ours / Conv2D", ours, (layers.CONV,), "at most", 1.3)
        )
    for network, batch in layers.batch_sizes(options):
        case = layers.network_case(network, batch)
        made.append(Comparison("layers", case, "ours / Conv2D", ours, (layers.CONV,)))
    return made


def _of_epochs(options):
    ours = (epochs.OURS,)
    aims = dict(zip(epochs.CASES, (3.5, 2.0, 2.0), strict=True))
    made = [
        Comparison(
            "epochs",
            epochs.epoch_case(*case),
            f"{epochs.PUBLISHED} / ours",
            (epochs.PUBLISHED,),
            ours,
            "at least",
            aim,
        )
        for case, aim in aims.items()
    ]
    complete = ("complete epoch / training alone", (epochs.COMPLETE,), ours, "at most", 1.6)
    return [*made, Comparison("epochs", epochs.epoch_case("mnist", "fcn"), *complete)]


def _of_augmentation(options):
    return [
        Comparison(
            "augmentation",
            augmentation.augmentation_case(network, kind),
            f"{augmentation.PEER} / ours",
            (augmentation.PEER,),
            (augmentation.OURS,),
            *(("at least", 5.0) if network == "mnist" else ()),
        )
        for network, kind in augmentation.CASES
    ]


def _of_fixed_costs(options):
    case, training = fixed_costs.CASE, (fixed_costs.TRAINING,)
    return [
        Comparison("fixed_costs", case, "fixed cost of training", training, (), "at most", 6.0),
        Comparison("fixed_costs", case, "evaluation", (fixed_costs.EVALUATION,)),
    ]


def _of_grid(options):
    limits = [
        (grid.bookkeeping_case(), grid.DRY_RUN, 5.0),
        (grid.bookkeeping_case(), grid.NO_OP, 10.0),
        (grid.drawing_case(options), grid.DRAWING, 60.0),
    ]
    return [
        Comparison("grid", case, words, (words,), (), "at most", limit)
        for case, words, limit in limits
    ]
