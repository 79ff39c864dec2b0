"""The sizes of the paper's networks (Table A.2), which are known without building any.

Source: Ott et al. (2020), Table A.2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from freeconv.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Convolution:
    """A square convolution with valid padding.

    Attributes:
        kernel_size: int, rows and columns of the kernel.
        filters: int, number of filters.
        stride: int, step along rows and columns.

    Example:
        >>> Convolution(kernel_size=3, filters=32, stride=2).output_size(28)
        13
    """

    kernel_size: int
    filters: int
    stride: int

    def output_size(self, size: int) -> int:
        """Returns the rows (or columns) of the output for `size` rows (or columns) of input."""
        return (size - self.kernel_size) // self.stride + 1


@dataclass(frozen=True)
class Network:
    """Convolutions, a dense hidden layer and a softmax output.

    Attributes:
        convolutions: tuple of `Convolution`, from the input on.
        hidden: int, units of the dense hidden layer.

    Example:
        >>> network = Network((Convolution(3, 32, 2), Convolution(3, 64, 2)), hidden=128)
        >>> len(network.convolutions)
        2
    """

    convolutions: tuple[Convolution, ...]
    hidden: int


# Table A.2.
NETWORKS = {
    "mnist": Network((Convolution(3, 32, 2), Convolution(3, 64, 2), Convolution(3, 128, 1)), 1024),
    "cifar10": Network(
        (Convolution(5, 64, 2), Convolution(5, 128, 2), Convolution(3, 256, 1)), 1024
    ),
}


def first_convolutions(network: Network, layers: int | None) -> Network:
    """Returns a network with the first of its convolutions alone.

    Args:
        network: `Network`.
        layers: int, how many of the convolutions are used, from the input on; `None` for all.

    Raises:
        InputError: if it has fewer of them.
    """
    count = len(network.convolutions)
    layers = count if layers is None else layers
    if not 1 <= layers <= count:
        raise InputError(f"`layers` must be from 1 to {count}. Received: layers={layers!r}.")
    return replace(network, convolutions=network.convolutions[:layers])


def check_sizes(network: Network, input_shape: Sequence[int]) -> None:
    """Raises InputError where the image, or what is left of it, is smaller than a kernel.

    Args:
        network: `Network`.
        input_shape: `(rows, columns, channels)` of an image.
    """
    if len(input_shape) != 3:
        raise InputError(
            "`input_shape` must be (rows, columns, channels). "
            f"Received: input_shape={tuple(input_shape)}."
        )
    rows, columns, _ = input_shape
    for number, convolution in enumerate(network.convolutions, start=1):
        if min(rows, columns) < convolution.kernel_size:
            raise InputError(
                f"Images of {input_shape[0]} x {input_shape[1]} are too small for the network: "
                f"layer 'conv{number}' has a kernel of {convolution.kernel_size} x "
                f"{convolution.kernel_size} and receives {rows} x {columns}."
            )
        rows, columns = convolution.output_size(rows), convolution.output_size(columns)
