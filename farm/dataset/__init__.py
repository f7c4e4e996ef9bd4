"""Training sets for NeRF and Gaussian splatting: many views of a model, each with its exact ground truth."""
