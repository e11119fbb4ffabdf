"""A VAE through the jobs: trained on digits, its likelihood the same whoever computes it."""

import pytest

TINY = ("model.width=8", "model.latent_size=4", "objective.likelihood=bernoulli", "optimizer.generator_lr=1e-3")
SHORT = ("training.batch_size=32", "training.total_images=3200", "training.report_every_images=1600")
FAST = ("assessor.images=640", "assessor.width=8", "evaluation.features=assessor", "evaluation.trial_samples=64")


@pytest.mark.slow
def test_a_vae_is_trained_and_its_likelihood_bounded(jobs, shared_data, tmp_path):
    config = tmp_path / "digits.yaml"
    config.write_text("data: {source: mnist, resolution: 28, channels: 1, limit: 1500}\nmodel: {family: vae}\n")
    places = (f"data.path={shared_data / 'data' / 'mnist'}", f"storage.path={jobs.storage}")
    trained = jobs.run("train", str(config), *places, *TINY, *SHORT, *FAST, "compute.workers=2")
    assert trained.code == 0, trained.err
    run = str(jobs.storage / "digits")
    found = []
    for workers in (1, 2):
        ended = jobs.run(
            "likelihood", run, "evaluation.importance_samples=5", f"evaluation.workers={workers}", "--json"
        )
        assert ended.code == 0, ended.err
        found.append(ended.document)
        (jobs.storage / "digits" / "artifacts" / "likelihood.json").unlink()
    assert found[0] == found[1]
    figures = found[0]
    assert figures["protocol"]["images"]["split"] == "held_out"
    assert figures["elbo_nats"] == pytest.approx(figures["reconstruction_nats"] - figures["kl_nats"])
    assert -784 < figures["elbo_of_weighted_nats"] < figures["iw5_nats"] < 0
    refused = jobs.run("likelihood", run, "evaluation.importance_samples=0")
    assert refused.code == 2
