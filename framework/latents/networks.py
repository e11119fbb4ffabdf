"""Types of the differentiable networks that studies optimise through."""

from collections.abc import Callable

from torch import Tensor

Generate = Callable[[Tensor], Tensor]
"""Latents [n,z] -> images [n,c,h,w] in [-1,1], differentiable."""
Score = Callable[[Tensor], Tensor]
"""Images [n,c,h,w] in [-1,1] -> [n], differentiable."""
Features = Callable[[Tensor], Tensor]
"""Images [n,c,h,w] in [-1,1] -> [n,d], differentiable."""
