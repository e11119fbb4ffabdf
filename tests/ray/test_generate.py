"""jobs.generate on Ray: killed and started again it gives what one process gives."""

import numpy as np
import pytest
from PIL import Image

from framework.checkpoint import load_generator
from tests.ray.conftest import wait_until

COUNT = 4_000


@pytest.mark.slow
def test_images_are_those_of_their_latents_after_a_kill(jobs, run, tmp_path):
    place = tmp_path / "faces"
    arguments = (run.folder.location, f"output={place}", f"count={COUNT}")
    process = jobs.start("generate", *arguments)
    wait_until(lambda: len(list(place.glob("*.png"))) >= 256 or process.poll() is not None, what="the first shard")
    assert process.poll() is None, process.communicate()[1]
    process.kill()
    process.communicate(timeout=60)
    before = len(list(place.glob("*.png")))
    assert before < COUNT
    again = jobs.run("generate", *arguments, "--json")
    assert again.code == 0, again.err
    assert again.document["generated"] <= COUNT - before // 256 * 256
    generator = load_generator(run.folder.location)
    expected = generator.images(generator.sample_latents(COUNT, 0))
    found = [np.asarray(Image.open(place / f"{number:06d}.png")) for number in range(COUNT)]
    assert np.array_equal(np.stack(found), expected)
