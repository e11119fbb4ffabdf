"""What a network begins with from a trained one of another size, and which of its layers are not trained."""

from collections.abc import Mapping

from torch import Tensor, nn

from framework.errors import ConfigError
from framework.models.architectures.base import DiscriminatorNetwork

FREEZE_KEY = "training.freeze_discriminator"


def matching(
    network: nn.Module, start: nn.Module, tensors: Mapping[str, Tensor], *, from_image: bool
) -> dict[str, Tensor]:
    """The layers of a trained network of which all tensors have the names and shapes of one of the new network's.

    The pairs list their layers by the size of their maps: generators from the smallest map on, which has the same side
    at 32, 64, 128 and 256 pixels, and discriminators from the image on. The lists of the latter are aligned at their
    end, so that both networks' layers are matched from the smallest map on.

    Args:
        network: The new network.
        start: A network of the trained one's size, which may be on torch's meta device.
        tensors: The state of the trained one.
        from_image: Whether the lists begin at the image, as those of a discriminator.

    Returns:
        The new names of the tensors -> the tensors.
    """
    lengths = _lists_of(start)
    further = {name: length - lengths[name] for name, length in _lists_of(network).items() if name in lengths}
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    named = {_renamed(name, further) if from_image else name: value for name, value in tensors.items()}
    fitting = {name: value for name, value in named.items() if name is not None and shapes.get(name) == value.shape}
    others = {_layer(name) for name in shapes if name not in fitting}
    return {name: value for name, value in fitting.items() if _layer(name) not in others}


def weights_of(names: Mapping[str, object]) -> list[str]:
    """The names without what a network keeps beside its weights."""
    return [name for name in names if not name.endswith("_extra_state")]


def freeze(discriminator: DiscriminatorNetwork, count: int) -> list[str]:
    """Excludes the first layers, those nearest the image, from the training (FreezeD, Mo et al. 2020).

    Returns:
        The names of their parameters.

    Raises:
        ConfigError: There are fewer layers before the output.
    """
    layers = discriminator.layers_from_image()
    if count > len(layers):
        raise ConfigError(
            f"{FREEZE_KEY}: {count}, but the discriminator has {len(layers)} layers before its output that are trained"
        )
    for layer in layers[:count]:
        for part in layer:
            part.requires_grad_(False)
    return [name for name, parameter in discriminator.named_parameters() if not parameter.requires_grad]


def _layer(name: str) -> str:
    return name.rpartition(".")[0]


def _lists_of(network: nn.Module) -> dict[str, int]:
    return {name: len(part) for name, part in network.named_modules() if isinstance(part, nn.ModuleList)}


def _renamed(name: str, further: Mapping[str, int]) -> str | None:
    """A tensor's name with its place in its list, moved by the difference of the lists' lengths."""
    for place, by in further.items():
        if name.startswith(f"{place}."):
            number, _, rest = name[len(place) + 1 :].partition(".")
            return f"{place}.{int(number) + by}.{rest}" if int(number) + by >= 0 else None
    return name
