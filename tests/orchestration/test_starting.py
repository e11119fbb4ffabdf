"""Studies start from projections, and where there is an encoder from photographs as they are."""

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

from framework.checkpoint import LoadedGenerator
from framework.config import Experiment, with_overrides
from framework.errors import DataError, LatentsError
from framework.models import build_encoder, build_generator
from framework.orchestration.studies.starts import starts_of
from framework.runs import RunFolder


@pytest.fixture
def begin(tmp_path, monkeypatch):
    """A run with these starts, a projection `ben` and a photograph me.png, and a generator with or without encoder."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40), np.uint8)).save("me.png")
    (tmp_path / "text.png").write_text("words")

    def begin(start, *, family="vae"):
        settings = {"name": "begun", "storage.path": str(tmp_path), "latents.start": start, "model.family": family}
        settings |= {"model.width": 4, "model.latent_size": 3, "data.source": "drawn_faces"}
        run = RunFolder.create(with_overrides(Experiment(), settings), ["python"])
        run.projections.write_bytes("ben.safetensors", safetensors.numpy.save({"latent": np.ones(3, np.float32)}))
        model, shape = run.experiment.model, {"resolution": 28, "channels": 1, "seed": 0}
        encoder = None if family == "gan" else build_encoder(model, **shape)
        config = {"latent_size": 3, "resolution": 28, "channels": 1}
        about = {"config": config, "digest": "x", "source": "here", "device": "cpu"}
        return run, LoadedGenerator(build_generator(model, **shape), encoder=encoder, **about)

    return begin


def test_a_photograph_is_encoded_and_a_projection_read(begin):
    run, generator = begin(["me.png", "ben"])
    (me, latent), (ben, projected) = starts_of(run, generator)
    assert (me, ben) == ("me", "ben")
    pixels = np.asarray(Image.open("me.png").resize((28, 28), Image.Resampling.LANCZOS))
    np.testing.assert_allclose(latent, generator.encode(pixels[None, :, :, None])[0], atol=1e-6)
    assert projected.tolist() == [1, 1, 1]
    assert latent.shape == (3,)


def test_without_an_encoder_a_photograph_has_to_be_projected_first(begin):
    with pytest.raises(LatentsError, match=r"latents\.start: no projection me\.png; there are ben"):
        starts_of(*begin(["me.png"], family="gan"))


def test_what_is_no_image_is_refused(begin):
    with pytest.raises(DataError, match=r"text\.png: not an image"):
        starts_of(*begin(["text.png"]))
