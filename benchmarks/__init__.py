"""How fast layers, epochs, augmentation, cells and the grid are, against peers and floors.

`python -m benchmarks` measures all of it in one run. Peers that are not installed are left out
and named. Data flows one way: subjects -> measurements -> comparisons -> table and plot.
"""
