"""Maps of an autoencoder and a VAE through the job: the same whoever computes them, on equal terms."""

import pytest

TINY = ("model.width=8", "model.latent_size=2", "objective.likelihood=bernoulli", "optimizer.generator_lr=1e-3")
SHORT = ("training.batch_size=32", "training.total_images=3200", "training.report_every_images=1600")
FAST = ("assessor.images=3200", "assessor.width=8", "evaluation.features=assessor", "evaluation.trial_samples=64")
MAPS = ("latents.maps.images=200", "latents.maps.samples=600", "latents.maps.steps=4")


@pytest.mark.slow
def test_two_families_side_by_side(jobs, shared_data, tmp_path):
    runs = []
    for family in ("autoencoder", "vae"):
        config = tmp_path / f"map-{family}.yaml"
        config.write_text(
            f"data: {{source: mnist, resolution: 28, channels: 1, limit: 1500}}\nmodel: {{family: {family}}}\n"
        )
        places = (f"data.path={shared_data / 'data' / 'mnist'}", f"storage.path={jobs.storage}")
        trained = jobs.run("train", str(config), *places, *TINY, *SHORT, *FAST)
        assert trained.code == 0, trained.err
        runs.append(jobs.storage / f"map-{family}")
    artifacts, found = runs[0] / "artifacts", []
    for workers in (1, 2):
        ended = jobs.run("latent_map", *map(str, runs), *MAPS, f"evaluation.workers={workers}", "--json")
        assert ended.code == 0, ended.err
        assert "Classifier: accuracy" in ended.err
        pictures = [(artifacts / name).read_bytes() for name in ("latent_map.png", "latent_plane.png")]
        found.append((ended.document, pictures))
        (artifacts / "latent_map.json").unlink()
    assert found[0] == found[1]
    document = found[0][0]
    assert [row["family"] for row in document["maps"]] == ["autoencoder", "vae"]
    assert document["protocol"]["images"] == document["protocol"]["images"] | {"count": 200, "split": "held_out"}
    for row in document["maps"]:
        assert row["plane"]["method"] == "latents"
        assert row["knn_purity"]["latents"] == row["knn_purity"]["picture"]
        assert row["knn_purity"]["latents"] > document["protocol"]["chance_purity"]
        assert all(0 <= share <= 1 for share in row["hole_share"].values())
    alone = jobs.run("latent_map", str(runs[1]), *MAPS, "--json")
    assert alone.code == 0, alone.err
    assert alone.document["maps"] == document["maps"][1:]
