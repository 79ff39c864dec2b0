"""Training and evaluation of the networks: all that imports a deep learning framework."""
