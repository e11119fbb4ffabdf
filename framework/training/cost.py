"""What a training takes, counted by its own step on tensors without values.

On torch's `meta` device the networks, the optimizers and the step are those of the training, with its losses,
penalties, augmentations and condition, and nothing is computed: any size is counted as fast as a small one.
"""

import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from framework.config import Experiment
from framework.config.schedule import highest
from framework.models import DiscriminatorNetwork, count_parameters
from framework.models.condition import Condition
from framework.training.precision import Precision
from framework.training.state import TrainState
from framework.training.steps.draws import Numbers
from framework.training.steps.families import family_of
from framework.training.workers import Shard, WorkerGroup

META = torch.device("meta")
_WITHOUT_WORK = ("aten::empty", "aten::new_empty", "aten::_unsafe_view", "aten::detach")


class TrainingCost:
    """Parameters, memory, multiplications and operations of a training.

    Args:
        experiment: The settings of the training.
        workers: Number of workers that share a batch; None for the fewest that `compute.workers` allows.
        condition: The condition of the networks; None without one.

    Attributes:
        experiment: The settings of the training.
    """

    def __init__(
        self, experiment: Experiment, *, workers: int | None = None, condition: Condition | None = None
    ) -> None:
        self.experiment = experiment
        share = -(-experiment.training.batch_size // (workers or experiment.compute.fewest_workers))
        passes = -(-share // (experiment.compute.images_per_pass or share))
        at_once = -(-share // passes)
        # From the second pass on, each takes the same memory, beside the images that wait for theirs. An even number,
        # because the notebook schedule halves a batch.
        self._images = 2 * at_once if passes > 1 else at_once + at_once % 2
        self._waiting = max(0, share - self._images)
        at_once = at_once if passes > 1 else self._images
        counted, self._condition = _with_batch(experiment, self._images, at_once), condition
        double = experiment.compute.precision == "float64"
        self._precision = Precision("float64" if double else "float32", META)
        data = experiment.data
        family = family_of(experiment)
        with META:
            self._state = family.state.fresh(
                counted,
                resolution=data.resolution,
                channels=data.channels,
                precision=self._precision.name,
                device=META,
                condition=condition,
            )
        about: dict[str, Any] = {"workers": WorkerGroup(device=META), "precision": self._precision}
        self._step = family.step(self._state, experiment=counted, **about)
        # Numbers are drawn on the CPU, so those of the smallest step give the shapes.
        few = family.step(self._state, experiment=_with_batch(experiment, 2, None), **about)
        side, count = data.resolution, family.step.real_images(self._images)
        self._pixels = torch.empty(count, side, side, data.channels, dtype=torch.uint8, device=META)
        self._numbers = self._shapes_of(few.draw(0))

    def _shapes_of(self, numbers: Numbers) -> Numbers:
        """The numbers of a step, without values, from those of a step of two images."""
        counts = {purpose: shard.count * self._images // 2 for purpose, shard in numbers.shards.items()}
        shards = {purpose: Shard(0, count, count) for purpose, count in counts.items()}
        drawn = {
            key: torch.empty(counts[key[1]], *each.shape[1:], dtype=each.dtype, device=META)
            for key, each in numbers.drawn.items()
        }
        if self._condition is None:
            return Numbers(drawn, shards)
        codes = torch.empty(len(self._pixels), self._condition.size, dtype=self._precision.dtype, device=META)
        return Numbers(drawn, shards).with_codes("real", codes)

    @property
    def parameters(self) -> dict[str, int]:
        """The number of trained parameters of each network, by its name."""
        return {name: count_parameters(network) for name, network in self._state.networks().items()}

    @property
    def frozen(self) -> int:
        """The number of weights that the discriminator uses and that are not trained."""
        network = self._state.companion()[1]
        return network.frozen_size if isinstance(network, DiscriminatorNetwork) else 0

    @property
    def kept_bytes(self) -> int:
        """What a worker holds between two steps, without a frozen network: weights, average, gradients, moments."""
        return self._counted.kept_bytes

    def memory_bytes(self, precision: str) -> int:
        """The most that a worker holds in a step, on its device: weights, gradients, moments, average, activations.

        In float32 and float64 it is counted. In bfloat16 it is estimated: half of what is not kept between two steps,
        and half of what is not trained. For `skip` it is all of it, since its normalisation is computed in float32.
        """
        kept, most = self._counted.kept_bytes, self._counted.most_bytes
        frozen = self.frozen * self._precision.dtype.itemsize
        if precision != "bfloat16" or self.experiment.model.kind == "skip":
            return most + frozen
        return kept + (most - kept + frozen) // 2

    @property
    def step_operations(self) -> float:
        """Operations of a step that a GPU is asked for, one for each update of an optimizer."""
        return self._counted.operations

    @cached_property
    def _counted(self) -> "_Counted":
        """What is held and asked for in a step, without a frozen network."""
        self._run(due=True)  # makes Adam's moments, and places a frozen network
        operations = 0.0
        with _Held() as held:
            for optimizer in self._optimizers():
                optimizer.register_step_pre_hook(held.begin_update)
                optimizer.register_step_post_hook(held.end_update)
            held.note(self._tensors())
            kept = held.now
            held.note([self._pixels, *self._numbers.drawn.values()])
            given = held.now - kept
            for due, share in self._kinds().items():
                held.operations = 0
                self._run(due=due)
                operations += share * held.operations
        # The pixels of an image are held as bytes and as numbers.
        of_image = given / self._images + self._pixels[0].numel() * self._precision.dtype.itemsize
        passes = 1 + self._waiting / self._images
        return _Counted(kept, held.most + round(self._waiting * of_image), passes * operations)

    def _optimizers(self) -> tuple[Optimizer, Optimizer]:
        return self._state.generator_optimizer, self._state.companion()[2]

    def _tensors(self) -> Iterator[Tensor]:
        """All that a training holds between two steps."""
        state = self._state
        averages = (average.network for average in state.ema_networks().values())
        for network in (*state.networks().values(), *averages):
            yield from network.parameters()
            yield from network.buffers()
        for network in state.networks().values():
            yield from (parameter.grad for parameter in network.parameters() if parameter.grad is not None)
        for optimizer in self._optimizers():
            yield from (each for moments in optimizer.state.values() for each in moments.values())
        yield from (each for part in state.more_parts().values() for each in part.values())

    @cached_property
    def step_multiplications(self) -> float:
        """Multiplications per image seen: those of convolutions and matrix products in all passes of a step.

        Gradient penalties count at their share of the steps.
        """
        kinds = self._kinds()
        return sum(share * self._multiplications(due=due) for due, share in kinds.items()) / self._images

    def _multiplications(self, *, due: bool) -> float:
        return _multiplications_of(lambda: self._run(due=due))

    @cached_property
    def generator_multiplications(self) -> float:
        """The same of an image that the averaged generator, or the decoder, makes."""
        network = self._state.ema.network
        size = self._state.generator.latent_size
        latents = torch.empty(1, size, dtype=self._precision.dtype, device=META)
        with torch.no_grad():
            return _multiplications_of(lambda: network(latents))

    def _kinds(self) -> dict[bool, float]:
        """Whether the gradient penalties are due in a step -> the share of such steps."""
        every = self.experiment.objective.r1_every_steps
        gammas = [self.experiment.gamma(name) for name in ("r1_gamma", "r2_gamma")]
        if not isinstance(self._state, TrainState) or every == 1 or not any(map(highest, gammas)):
            return {True: 1.0}
        return {True: 1.0 / every, False: 1.0 - 1.0 / every}

    def _run(self, *, due: bool) -> None:
        """One step, of those in which penalties are due or of the others."""
        self._state.steps = 0 if due else 1
        self._step(self._pixels, numbers=self._numbers)


@dataclass(frozen=True)
class _Counted:
    kept_bytes: int
    most_bytes: int
    operations: float


class _Held(TorchDispatchMode):
    """Counts the bytes of tensors on the meta device, each storage from its birth to its death, and operations.

    Attributes:
        now: Bytes that are held.
        most: The most that were ever held.
        operations: Operations that compute something; an update of an optimizer, which is one on a GPU, is one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = self.operations = 0
        self._known: set[int] = set()
        self._updates = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        computes = not func.is_view and not func.name().startswith(_WITHOUT_WORK)
        self.operations += computes and not self._updates
        self.note(result)
        return result

    def begin_update(self, *_: Any) -> None:
        """Called before an optimizer's update."""
        self._updates, self.operations = True, self.operations + 1

    def end_update(self, *_: Any) -> None:
        """Called after it."""
        self._updates = False

    def note(self, tensors: Any) -> None:
        """Counts tensors that are not known yet, in any structure."""
        for tensor in tensors if isinstance(tensors, Iterator) else tree_leaves(tensors):
            if isinstance(tensor, Tensor) and tensor.device == META:
                self._count(tensor.untyped_storage())

    def _count(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size


def _multiplications_of(work: Callable[[], Any]) -> float:
    from torch.utils.flop_counter import FlopCounterMode  # it imports Triton, which takes a while

    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() / 2  # it counts an addition with each multiplication


def _with_batch(experiment: Experiment, images: int, images_per_pass: int | None) -> Experiment:
    """The experiment with another batch; not checked, as workers may be too many for it."""
    training = experiment.training.model_copy(update={"batch_size": images})
    compute = experiment.compute.model_copy(update={"images_per_pass": images_per_pass})
    return experiment.model_copy(update={"training": training, "compute": compute})
