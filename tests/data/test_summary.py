"""The summary of packed images, and held-out folders."""

import json

import pytest
from PIL import Image

from framework.config import DataConfig
from framework.data import survey
from framework.data.packing.folders import mask_folders
from framework.data.packing.summary import folder_lines, summary_document, summary_lines, survey_lines
from framework.data.synthetic_faces import draw_face
from framework.errors import DataError
from tests.conftest import missing
from tests.data.conftest import jpeg
from tests.data.test_decoding import saved


def line_of(lines, label):
    return next(line for line in lines if line.startswith(label))


@pytest.fixture
def of_folders(folder_of):
    """60 pictures in training, 12 in validation, and a copy of one of training among those of the test."""
    files = {f"faces/train/{k}.jpg": jpeg(k) for k in range(60)}
    files |= {f"faces/Valid/{k}.jpg": jpeg(100 + k) for k in range(12)}
    files |= {"faces/test/a.jpg": jpeg(7), "faces/test/notes.txt": b"words", "faces/test/b.jpg": jpeg(200)}
    return folder_of(files)


def test_folders_of_a_split_are_held_out_when_asked(of_folders, pack):
    store = pack(of_folders, held_out="folders", max_rejected=0.5)
    held = {store.names[k] for k in store.held_out_indices}
    # The copy that was taken is the first by name, in test; so it is not trained on.
    assert held == {"faces/test/a.jpg", "faces/test/b.jpg", *(f"faces/Valid/{k}.jpg" for k in range(12))}
    assert not any("data.held_out=folders" in line for line in summary_lines(store, DataConfig(held_out="folders")))
    by_content = pack(of_folders, max_rejected=0.5)
    assert not missing(
        line_of(summary_lines(by_content, DataConfig()), "Held out"), "Valid 12", "test 2", "data.held_out=folders"
    )
    assert by_content.digest != store.digest


def test_near_copies_of_held_out_images_are_held_out_too(folder_of, pack):
    picture = draw_face(0, 5, resolution=128)
    files = {f"train/{k}.jpg": jpeg(k) for k in range(20)}
    files |= {"train/same.jpg": saved(picture, "JPEG"), "val/same.png": saved(picture, "PNG")}
    store = pack(folder_of(files), held_out="folders")
    assert {store.names[k] for k in store.held_out_indices} == {"train/same.jpg", "val/same.png"}


def test_held_out_folders_that_are_not_there(folder_of, pack):
    with pytest.raises(DataError) as caught:
        pack(folder_of({f"{k}.jpg": jpeg(k) for k in range(4)}), held_out="folders")
    assert not missing(str(caught.value), "data.held_out", "valid", "val", "test")


def test_the_summary_has_what_a_person_checks(folder_of, pack):
    files = {f"high/{k}.jpg": jpeg(k, side=48) for k in range(4)}
    files |= {f"wide/{k}.png": saved(Image.effect_noise((64 + k, 40), 90).convert("RGB")) for k in range(9)}
    files |= {f"tall/{k}.png": saved(Image.effect_noise((40, 90 + k), 90).convert("RGB")) for k in range(20)}
    files |= {f"grey/{k}.png": saved(Image.new("RGB", (60, 60 + k), (90, 90, 90))) for k in range(3)}
    files |= {"bad/x.jpg": b"words", "bad/empty.jpg": b"", "bad/y.jpg": b"more words"}
    store = pack(folder_of(files), max_rejected=0.5, held_out=0.0)
    lines = summary_lines(store, DataConfig())
    assert not missing(line_of(lines, "Files"), 39, 36, "high 4", "wide 9", "tall 20", "grey 3", "bad 3")
    assert not missing(line_of(lines, "Rejected"), "2 not an image", "'bad/x.jpg'", "1 empty file")
    assert not missing(line_of(lines, "Sizes"), "48x48", "40x93", "40x109", "31 of 36", 20)  # twice as high as wide
    warnings = [line for line in lines if line.startswith("Warning")]
    assert not missing(" ".join(warnings), "most", "3 images", "'grey/0.png'")
    assert len(lines) <= 10
    document = json.loads(json.dumps(summary_document(store)))
    assert document["rejected_reasons"]["not an image"] == {"files": 2, "example": "bad/x.jpg"}
    assert document["packing"]["folders"] == {"bad": 3, "grey": 3, "high": 4, "tall": 20, "wide": 9}
    assert document["packing"]["shapes"]["twice_as_high"] == 20


def test_folders_of_masks_are_told():
    names = [f"CelebA-HQ-img/{k}.jpg" for k in range(20)] + [f"CelebAMask-HQ-mask-anno/{k}.png" for k in range(99)]
    (line,) = folder_lines(names, mask_folders(names), DataConfig())
    assert not missing(line, "CelebAMask-HQ-mask-anno 99")
    pairs = [f"{side}/{k}.{end}" for side, end in (("photos", "jpg"), ("drawings", "png")) for k in range(20)]
    (line,) = folder_lines(pairs, {}, DataConfig())
    assert not missing(line, "'drawings'", "'photos'", 20)
    assert folder_lines([f"{side}/{k}.png" for side in "ab" for k in range(20)], {}, DataConfig()) == []
    assert mask_folders([f"mask/{k}.png" for k in range(20)] + ["mask.png"]) == {"mask": 20}
    assert mask_folders([f"masks/{side}/{k}.png" for side in "ab" for k in range(20)]) == {}  # masks are what is wanted


def test_before_packing_the_folders_are_known(of_folders):
    config = DataConfig(source="folder", path=str(of_folders))
    found = survey(config)
    lines = survey_lines(found.names, found.left_out, config)
    assert not missing(line_of(lines, "Files"), 75, "train 60", "Valid 12", "test 3")
    assert not missing(line_of(lines, "Held out"), "data.held_out=folders")


def test_mnist_and_drawn_faces_need_no_summary(pack):
    store = pack(None, source="drawn_faces", limit=64)
    assert summary_lines(store, DataConfig(source="drawn_faces")) == []
