"""Weights averaged along the way: steadier than the last ones, which depend on the last few batches.

Polynomial-decay averaging: Shamir and Zhang, "Stochastic Gradient Descent for Non-smooth Optimization: Convergence
Results and Optimal Averaging Schemes", 2013, section 4.
"""

import copy

import torch
from torch import nn


class Average:
    """A copy of a model whose weights are the mean of that model's after each step, later ones counting more.

    Step t enters with the share (eta + 1) / (t + eta), so that the first is taken whole, and about the last 1 / eta of
    all steps so far make up the mean, whenever one asks. What BatchNorm has seen is averaged, too.

    Args:
        model: whose weights are averaged; it is not changed.
        eta: above 0.
    """

    def __init__(self, model: nn.Module, eta: float) -> None:
        self.model = copy.deepcopy(model)
        self.eta = eta

    def take(self, latest: nn.Module, step: int) -> None:
        """Let the weights after a step, counted from 1, enter the mean."""
        share = (self.eta + 1) / (step + self.eta)
        with torch.no_grad():
            pairs = zip(self.model.state_dict().values(), latest.state_dict().values(), strict=True)
            for mean, value in pairs:
                if mean.is_floating_point():
                    mean.lerp_(value, share)
                else:  # how many batches BatchNorm has seen
                    mean.copy_(value)
