"""What the assessors reach on faces, drawn and photographed."""

import pytest

from framework.config import AssessorConfig, DataConfig
from framework.data import prepare
from framework.training.assessor.train import train_assessors


def reached(pair, label):
    return min(assessor.accuracy[label]["value"] for assessor in (pair.finder, pair.measurer))


@pytest.mark.long
@pytest.mark.timeout(200)
def test_glasses_and_smiles_of_drawn_faces(tmp_path):
    store = prepare(DataConfig(source="drawn_faces", resolution=32, limit=1200), cache=tmp_path)
    config = AssessorConfig(attributes=["glasses", "smiling", "pose"], images=5600)
    pair = train_assessors(store, config, cache=tmp_path)
    assert reached(pair, "glasses") >= 0.99
    assert reached(pair, "smiling") >= 0.99
    assert reached(pair, "pose") > 0.9  # left and right are told apart: nothing may be mirrored


@pytest.mark.slow
def test_labels_of_real_faces(shared_data, tmp_path):
    folder = shared_data / "data"
    names = {"path": str(folder / "UTKFace-5k.tar"), "labels": str(folder / "UTKFace-5k-attributes.csv")}
    store = prepare(DataConfig(resolution=32, **names), cache=tmp_path)
    pair = train_assessors(store, AssessorConfig(), cache=tmp_path)
    assert list(pair.left_out) == ["age"]
    floors = {"glasses": 0.96, "smiling": 0.99, "female": 0.91, "race": 0.65, "age_group": 0.58}
    assert {name: reached(pair, name) > floor for name, floor in floors.items()} == dict.fromkeys(floors, True)
