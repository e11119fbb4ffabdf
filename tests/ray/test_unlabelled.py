"""A folder of photographs, with no label and no weights of Inception, from one command to its report."""

import numpy as np
import pytest
from PIL import Image

from framework.runs import RunFolder
from tests.conftest import missing
from tests.ray.conftest import Jobs

CONFIG = """
data: {{source: folder, path: {pictures}, resolution: 32, held_out: 0.2}}
model: {{width: 8, latent_size: 8, dropout: 0.0}}
training: {{schedule: joint, batch_size: 32, total_images: 320, report_every_images: 160}}
evaluation: {{samples: 32, trial_samples: 32, every_images: 160}}
search: {{trials: 1}}
latents: {{walks: {{pairs: 1, loop_samples: 0}}}}
compute: {{precision: float32}}
"""


@pytest.mark.slow  # 2 min 20 s on busy cores
@pytest.mark.timeout(900)
def test_photographs_alone_reach_the_report(jobs, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    shades = np.random.default_rng(0).integers(0, 256, (80, 4, 4, 3), np.uint8)
    for number, pixels in enumerate(shades):
        Image.fromarray(pixels).resize((40, 40), Image.Resampling.BICUBIC).save(pictures / f"{number}.png")
    (tmp_path / "photos.yaml").write_text(CONFIG.format(pictures=pictures))
    alone = Jobs(jobs.storage, jobs.environment | {"TORCH_HOME": str(tmp_path / "torch")})
    ended = alone.run("pipeline", str(tmp_path / "photos.yaml"), f"storage.path={tmp_path / 'runs'}", "--json")
    assert ended.code == 0, ended.err
    run = RunFolder.open(tmp_path / "runs" / "photos")
    assert {row["score"]["metric"] for trial in run.trials() for row in trial.metrics() if "score" in row} == {
        "efficientnet_frechet_distance"
    }
    names = ("frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage", "memorisation",
             "diversity")  # fmt: skip
    assert [score["metric"] for score in run.scores()] == [f"efficientnet_{name}" for name in names]
    assert {score["protocol"]["features"]["name"] for score in run.scores()} == {"efficientnet-lite2"}
    (line,) = (line for line in ended.err.splitlines() if line.startswith("Arithmetic: "))
    assert missing(line, "glasses - no_glasses + smiling", "was not run", "sheet.png") == []
    walks = run.artifacts.read_text("interpolation.json")
    assert "efficientnet-lite2" in walks
    assert run.artifacts.exists("sheet.png")
    page = run.folder.read_text("report.html")
    assert "EfficientNet Fréchet distance" in page
    assert "FID" not in {score["metric"].upper() for score in run.scores()}
