"""What a source holds: links are followed once, and what is never an image is left out and counted."""

import os
from collections import Counter

import pytest

from framework.config import DataConfig, Experiment
from framework.data.sources.source import fingerprint, list_source
from framework.errors import DataError
from framework.runs import RunFolder
from tests.data.conftest import jpeg

FACES = {f"{k}.jpg": jpeg(k) for k in range(8)}


def listed(path, *, rules=2):
    """The names and what was left out."""
    listing = list_source(DataConfig(source="folder", path=str(path), rules=rules), unpack_to=None)
    return [name for name, _ in listing.items], dict(listing.left_out)


@pytest.fixture
def linked(folder_of, tmp_path):
    """A folder with a class that is a link, and links that must not be followed."""
    folder = folder_of({f"cats/{name}": data for name, data in FACES.items()}, "pets")
    outside = folder_of({f"deep/{name}": data for name, data in FACES.items()}, "elsewhere")
    (folder / "dogs").symlink_to(outside)
    (outside / "deep" / "back").symlink_to("..")
    (outside / "home").symlink_to(folder)
    (folder / "again").symlink_to("cats")
    (folder / "zebras").symlink_to(outside / "deep")
    (folder / "above").symlink_to(tmp_path)
    (folder / "cats" / "gone.jpg").symlink_to("nowhere.jpg")
    (folder / "cats" / "loop").symlink_to("loop")
    return folder


def test_links_to_folders_are_followed_once(linked):
    names, left_out = listed(linked)
    expected = [f"cats/{name}" for name in (*FACES, "gone.jpg", "loop")] + [f"dogs/deep/{name}" for name in FACES]
    assert names == sorted(expected)
    assert left_out == {
        "link back to a folder above": 2,  # above and dogs/deep/back
        "link to a folder that is taken already": 3,  # again, dogs/home and zebras
    }


def test_a_broken_link_is_rejected_by_name(linked, pack):
    store = pack(linked, max_rejected=0.2, copies="keep")
    assert len(store) == 16
    assert sorted(name for name, _ in store.rejected) == ["cats/gone.jpg", "cats/loop"]


def test_a_link_above_all_folders_ends(folder_of):
    folder = folder_of(FACES)
    (folder / "disk").symlink_to("/")
    names, left_out = listed(folder)
    assert names == sorted(FACES)
    assert left_out == {"link back to a folder above": 1}


def test_two_links_that_lead_to_each_other_end(folder_of):
    folder = folder_of({"a/0.jpg": jpeg(0), "b/1.jpg": jpeg(1)})
    (folder / "a" / "b").symlink_to("../b")
    (folder / "b" / "a").symlink_to("../a")
    assert listed(folder)[0] == ["a/0.jpg", "b/1.jpg"]


def test_earlier_rules_list_what_they_listed(linked, folder_of):
    assert listed(linked, rules=1) == (
        sorted(f"cats/{name}" for name in (*FACES, "gone.jpg", "loop")),
        {"link to a folder": 4},
    )
    folder = folder_of(
        {"@eaDir/0.jpg": b"x", "Thumbs.db": b"x", "runs/my/experiment.yaml": b"x", "runs/my/run.json": b""}
    )
    assert listed(folder, rules=1)[0] == ["@eaDir/0.jpg", "runs/my/experiment.yaml", "runs/my/run.json"]


CLUTTER = {
    ".DS_Store": "hidden",
    ".cache/data/images.npy": "hidden",
    "__MACOSX/._0.jpg": "system",
    "@eaDir/0.jpg/SYNOPHOTO_THUMB_M.jpg": "system",
    "album/_thumb/0.jpg": "system",
    "album/Thumbs.db": "system",
    "album/thumbs.db": "system",
    "desktop.ini": "system",
}


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
def test_hidden_and_system_files_are_counted(kind, folder_of, tar_of, zip_of):
    path = {"folder": folder_of, "tar": tar_of, "zip": zip_of}[kind]({**FACES, **dict.fromkeys(CLUTTER, b"x")})
    names, left_out = listed(path)
    assert names == sorted(FACES)
    assert left_out == dict(Counter(CLUTTER.values()))


def run_in(folder):
    """A run as the jobs write it, with its cache and a picture."""
    experiment = Experiment.model_validate({"name": "my", "storage": {"path": str(folder / "runs")}})
    RunFolder.create(experiment, ["jobs.train"])
    sheet = folder / "runs" / "my" / "artifacts" / "sheet.png"
    sheet.parent.mkdir()
    sheet.write_bytes(jpeg(500))


def test_a_run_within_the_images_is_no_data(folder_of, pack):
    folder = folder_of(FACES)
    (folder / "notes.yaml").write_text("data: {path: .}")
    config = DataConfig(source="folder", path=str(folder))
    store, before = pack(folder, cache=folder / "runs" / ".cache", max_rejected=0.2), fingerprint(config)
    run_in(folder)
    (folder / "runs" / "collage.png").write_bytes(jpeg(501))
    assert fingerprint(config) == before
    assert listed(folder) == (sorted([*FACES, "notes.yaml"]), {"folder of runs": 1})
    again = pack(folder, cache=folder / "runs" / ".cache", max_rejected=0.2)
    assert (again.path, again.digest, len(again)) == (store.path, store.digest, 8)


def test_a_single_run_is_left_out_wherever_it_lies(folder_of):
    folder = folder_of(FACES)
    run_in(folder)
    assert listed(folder) == (sorted(FACES), {"run folder": 1})
    assert "artifacts/sheet.png" in listed(folder / "runs" / "my")[0]  # who names it means it


def test_links_and_their_files_are_in_the_fingerprint(linked):
    config = DataConfig(source="folder", path=str(linked))
    before = fingerprint(config)
    (linked / "dogs" / "deep" / "0.jpg").write_bytes(jpeg(99))
    assert fingerprint(config) != before


def test_a_folder_of_clutter_says_what_it_holds(folder_of):
    with pytest.raises(DataError, match="2 system, 1 hidden") as caught:
        listed(folder_of({".hidden": b"", "desktop.ini": b"", "_thumb/0.jpg": b""}))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_a_folder_that_cannot_be_read_is_named(folder_of):
    folder = folder_of({"closed/0.jpg": jpeg(0)})
    (folder / "closed").chmod(0)
    with pytest.raises(DataError, match="closed"):
        listed(folder)
    (folder / "closed").chmod(0o700)
