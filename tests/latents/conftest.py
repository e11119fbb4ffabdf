"""A generator whose latent says what it draws, and assessors that read the drawing exactly."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from framework.models import sample_latents

GREY_A_UNIT = 30.0  # of brightness for one unit of a latent
GLASSES_FROM, OLD_FROM, YOUNG_FROM = 0.8, 0.7, -0.7  # latents; smiling and female from 0


class ToyGenerator:
    """Latent 0: brightness of the left upper quarter (glasses); 1: right upper (smiling); 2: left lower (age);
    3: right lower (female); the others are not seen."""

    latent_size = 10
    resolution = 32

    def __init__(self, channels=3):
        self.channels = channels

    def sample_latents(self, n, seed, *, start=0):
        return sample_latents(n, self.latent_size, seed=seed, start=start)

    def images(self, latents):
        grey = np.clip(np.rint(128 + GREY_A_UNIT * np.asarray(latents)[:, :4]), 0, 255).astype(np.uint8)
        tiles = grey.reshape(-1, 2, 2, 1).repeat(16, axis=1).repeat(16, axis=2)
        return tiles.repeat(self.channels, axis=3)


@dataclass(frozen=True)
class Label:
    name: str
    classes: list[str] | None = None


@dataclass
class ToyAssessor:
    """Reads the brightness of each quarter; `wrong` makes it say that nothing is there."""

    digest: str
    known: tuple[str, ...] = ("glasses", "smiling", "female", "age_group")
    wrong: bool = False
    images_seen: list[int] = field(default_factory=list)

    @property
    def attributes(self):
        return [Label(name, ["child", "young", "old"] if name == "age_group" else None) for name in self.known]

    def predict(self, images):
        assert images.dtype == np.uint8
        self.images_seen.append(len(images))
        quarters = (images[:, 8::16, 8::16, 0].reshape(-1, 4).astype(np.float32) - 128) / GREY_A_UNIT
        edges = {"glasses": (0, GLASSES_FROM), "smiling": (1, 0.0), "female": (3, 0.0)}
        scores = {name: 1 / (1 + np.exp(-4 * (quarters[:, k] - edge))) for name, (k, edge) in edges.items()}
        distance = np.abs(quarters[:, 2, None] - np.array([-1.4, 0.0, 1.4], np.float32))
        scores["age_group"] = np.exp(-6 * distance) / np.exp(-6 * distance).sum(axis=1, keepdims=True)
        return {name: scores[name] * (not self.wrong) for name in self.known}


@dataclass
class ToyJudges:
    finder: ToyAssessor
    measurer: ToyAssessor


@pytest.fixture
def toy():
    return ToyGenerator()


@pytest.fixture
def make_judges():
    def make(known=("glasses", "smiling", "female", "age_group"), *, measurer_wrong=False):
        return ToyJudges(ToyAssessor("finder", tuple(known)), ToyAssessor("measurer", tuple(known), measurer_wrong))

    return make


@pytest.fixture
def grey_toy():
    return ToyGenerator(channels=1)
