"""The image networks of DINOv2 and CLIP (vision transformers), from a file of their weights.

The architecture is read from the names and shapes of the weights: those of DINOv2's own files (`dinov2_vitb14…`), with
or without registers, and those of the `visual` part of CLIP's. Features are what both give for an image: DINOv2's
normalised class token, CLIP's projected one. Oquab et al. 2023; Radford et al. 2021.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812  torch's own habit
from torch import Tensor

_HEAD = 64  # channels of each attention head, in all published sizes of both
_DINOV2_SIDE = 224
_LETTERS = {384: "s", 768: "b", 1024: "l", 1280: "h", 1536: "g"}
# Means and deviations of the channels, in [0, 1], that the images are normalised by.
_NORMALISED = {
    "dinov2": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
}
_CLIP_NAMES = (  # of CLIP's weights, and what they are called here
    (r"^class_embedding$", "cls_token"),
    (r"^positional_embedding$", "pos_embed"),
    (r"^conv1\.", "patch_embed.proj."),
    (r"^transformer\.resblocks\.", "blocks."),
    (r"\.attn\.in_proj_", ".attn.qkv."),
    (r"\.attn\.out_proj\.", ".attn.proj."),
    (r"\.ln_([12])\.", r".norm\1."),
    (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
    (r"^ln_post\.", "norm."),
)


@dataclass(frozen=True)
class Architecture:
    """The shape of a vision transformer.

    Attributes:
        patch: Side of a patch in pixels.
        side: Side of the images that it takes.
        size: Number of features.
        registers: Further tokens besides that of the class.
    """

    family: Literal["dinov2", "clip"]
    width: int
    depth: int
    patch: int
    side: int
    size: int
    registers: int = 0

    @property
    def name(self) -> str:
        """Its name, as in protocols: that of the published networks, such as dinov2-vitb14 and clip-vit-l-14."""
        letter = _LETTERS.get(self.width, str(self.width))
        if self.family == "clip":
            return f"clip-vit-{letter}-{self.patch}{'' if self.side == 224 else f'-{self.side}px'}"
        return f"dinov2-vit{letter}{self.patch}{'-reg' if self.registers else ''}"


class VisionTransformer:
    """The network.

    Args:
        weights: A state dict, see `architecture_of`.

    Raises:
        ValueError: It is not one of DINOv2 or CLIP, or a weight is missing or has another shape.
    """

    def __init__(self, weights: Mapping[str, Tensor], *, device: str | torch.device = "cpu") -> None:
        self.architecture, plain = _understood(weights)
        self.device = torch.device(device)
        self._weights = {name: value.float().to(self.device) for name, value in plain.items()}
        mean, deviation = (torch.tensor(values) * 255 for values in _NORMALISED[self.architecture.family])
        self._mean, self._deviation = mean.to(self.device), deviation.to(self.device)
        self._places = self._fitted_places()
        with torch.inference_mode():
            self(torch.zeros(1, self.architecture.side, self.architecture.side, 3, device=self.device))

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Images [n,side,side,3] float32 in [0,255] -> features [n,size].

        Raises:
            ValueError: A weight is missing or has another shape.
        """
        try:
            return self._features(((images - self._mean) / self._deviation).permute(0, 3, 1, 2))
        except KeyError as fault:
            raise ValueError(f"{fault.args[0]} is missing") from None
        except RuntimeError as fault:
            raise ValueError(str(fault).split("\n", 1)[0]) from None

    def _features(self, x: Tensor) -> Tensor:
        of, weights = self.architecture, self._weights
        bias = weights["patch_embed.proj.bias"] if of.family == "dinov2" else None
        x = F.conv2d(x, weights["patch_embed.proj.weight"], bias, stride=of.patch).flatten(2).transpose(1, 2)
        x = torch.cat([weights["cls_token"].expand(len(x), 1, -1), x], dim=1) + self._places
        if of.registers:
            x = torch.cat([x[:, :1], weights["register_tokens"].expand(len(x), -1, -1), x[:, 1:]], dim=1)
        if of.family == "clip":
            x = self._norm(x, "ln_pre")
        for number in range(of.depth):
            block = f"blocks.{number}"
            x = x + self._scaled(self._attention(self._norm(x, f"{block}.norm1"), f"{block}.attn"), f"{block}.ls1")
            x = x + self._scaled(self._dense(self._norm(x, f"{block}.norm2"), f"{block}.mlp"), f"{block}.ls2")
        last = self._norm(x[:, 0], "norm")
        return last if of.family == "dinov2" else last @ weights["proj"]

    def _attention(self, x: Tensor, name: str) -> Tensor:
        n, tokens, width = x.shape
        parts = self._linear(x, f"{name}.qkv").reshape(n, tokens, 3, width // _HEAD, _HEAD).permute(2, 0, 3, 1, 4)
        queries, keys, values = parts
        mixed = F.scaled_dot_product_attention(queries, keys, values)
        return self._linear(mixed.transpose(1, 2).reshape(n, tokens, width), f"{name}.proj")

    def _dense(self, x: Tensor, name: str) -> Tensor:
        if f"{name}.w12.weight" in self._weights:  # of DINOv2's giant
            gate, inner = self._linear(x, f"{name}.w12").chunk(2, dim=-1)
            return self._linear(F.silu(gate) * inner, f"{name}.w3")
        inner = self._linear(x, f"{name}.fc1")
        inner = F.gelu(inner) if self.architecture.family == "dinov2" else inner * torch.sigmoid(1.702 * inner)
        return self._linear(inner, f"{name}.fc2")

    def _scaled(self, x: Tensor, name: str) -> Tensor:
        return x * self._weights[f"{name}.gamma"] if self.architecture.family == "dinov2" else x

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        epsilon = 1e-6 if self.architecture.family == "dinov2" else 1e-5
        return F.layer_norm(x, x.shape[-1:], self._weights[f"{name}.weight"], self._weights[f"{name}.bias"], epsilon)

    def _fitted_places(self) -> Tensor:
        """The embedding of places [1,tokens,width], interpolated to the grid of patches as DINOv2 does it."""
        of, places = self.architecture, self._weights["pos_embed"].reshape(1, -1, self.architecture.width)
        grid, had = of.side // of.patch, _root(places.shape[1] - 1)
        if grid == had:
            return places
        rest = places[:, 1:].reshape(1, had, had, of.width).permute(0, 3, 1, 2)
        if of.registers:
            rest = F.interpolate(rest, (grid, grid), mode="bicubic", antialias=True)
        else:
            factor = (grid + 0.1) / had  # DINOv2 adds 0.1, and its features depend on it
            rest = F.interpolate(rest, scale_factor=(factor, factor), mode="bicubic")
        return torch.cat([places[:, :1], rest.permute(0, 2, 3, 1).reshape(1, grid**2, of.width)], dim=1)


def architecture_of(weights: Mapping[str, Tensor]) -> Architecture:
    """The architecture that a state dict belongs to.

    Raises:
        ValueError: It is neither one of DINOv2 nor one with CLIP's image network.
    """
    return _understood(weights)[0]


def _understood(weights: Mapping[str, Tensor]) -> tuple[Architecture, dict[str, Tensor]]:
    """The architecture, and its weights by DINOv2's names."""
    visual = {name.removeprefix("visual."): value for name, value in weights.items() if name.startswith("visual.")}
    plain = visual or dict(weights)
    family: Literal["dinov2", "clip"] = "clip" if "class_embedding" in plain else "dinov2"
    if family == "clip":
        plain = {_renamed(name): value for name, value in plain.items()}
    needed = ("cls_token", "pos_embed", "patch_embed.proj.weight", "blocks.0.attn.qkv.weight")
    if missing := [name for name in needed if name not in plain]:
        raise ValueError(
            f"it has no {missing[0]}; it must be a state dict of DINOv2 or of CLIP with its vision transformer, by the "
            f"names of their own files, but its first names are {', '.join(sorted(weights)[:3]) or 'none'}"
        )
    kernel, places = plain["patch_embed.proj.weight"], plain["pos_embed"]
    if kernel.ndim != 4 or kernel.shape[1] != 3 or kernel.shape[0] % _HEAD or places.shape[-1] != kernel.shape[0]:
        raise ValueError(f"its patches have weights {list(kernel.shape)} and its places {list(places.shape)}")
    width, patch, grid = kernel.shape[0], kernel.shape[-1], _root(places.shape[-2] - 1)
    side = patch * grid if family == "clip" else _DINOV2_SIDE // patch * patch
    depth = len({name.split(".")[1] for name in plain if name.startswith("blocks.")})
    registers = plain["register_tokens"].shape[-2] if "register_tokens" in plain else 0
    if family == "clip" and "proj" not in plain:
        raise ValueError("visual.proj is missing")
    size = plain["proj"].shape[-1] if family == "clip" else width
    return Architecture(family, width, depth, patch, side, size, registers), plain


def _renamed(name: str) -> str:
    for pattern, new in _CLIP_NAMES:
        name = re.sub(pattern, new, name)
    return name


def _root(count: int) -> int:
    """The side of a square of so many places.

    Raises:
        ValueError: They form no square.
    """
    side = round(max(count, 0) ** 0.5)
    if side < 1 or side**2 != count:
        raise ValueError(f"its {count} places form no square")
    return side
