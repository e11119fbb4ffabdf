import io
import pickle
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from framework.checkpoint import load_generator
from framework.config import DataConfig
from framework.data import prepare
from framework.errors import EvaluationError, LatentscapeError
from framework.evaluation.features.extractor import build_extractor
from framework.evaluation.sources.source import drawn, find_source, open_source, source_shard_moments, store_spec
from framework.metrics import Moments
from tests.conftest import missing


def png(image):
    return saved(Image.fromarray(image))


def saved(image):
    stream = io.BytesIO()
    image.save(stream, "png")
    return stream.getvalue()


@pytest.fixture
def colours(pictures):
    return pictures(70).repeat(3, axis=3)


@pytest.fixture(params=["folder", "zip", "tar", "tar.gz"])
def collection(request, tmp_path, colours):
    """The same 70 images in each form, among files that are none."""
    files = {f"{k % 2}/{k:03}.png": png(image) for k, image in enumerate(colours)}
    files |= {"readme.txt": b"words", "__MACOSX/._000.png": b"\0\5\x16\7"}
    path = tmp_path / f"images.{request.param}"
    if request.param == "folder":
        for name, data in files.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(data)
    elif request.param == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    else:
        with tarfile.open(path, "w:gz" if request.param == "tar.gz" else "w") as archive:
            for name, data in reversed(files.items()):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
    return path


def by_name(colours):
    return np.concatenate([colours[0::2], colours[1::2]])


def test_every_form_gives_the_same_images_in_the_same_order(collection, colours):
    spec = find_source(str(collection), samples=9, seed=0)
    assert (spec.kind, spec.side.count, spec.side.split) == ("files", 70, "all")
    assert (spec.side.height, spec.side.width, spec.side.channels, spec.side.seed) == (16, 16, 3, None)
    read = open_source(spec)
    assert np.array_equal(read(0, 70), by_name(colours))
    assert np.array_equal(read(64, 70), by_name(colours)[64:])
    assert len(pickle.dumps(spec)) < 2000


def test_the_digest_is_of_the_content(tmp_path, colours):
    digests = set()
    for place, images in (("here", colours), ("there", colours), ("other", 255 - colours)):
        (tmp_path / place).mkdir()
        for k, image in enumerate(images):
            (tmp_path / place / f"{k:03}.png").write_bytes(png(image))
        digests.add(find_source(str(tmp_path / place), samples=9, seed=0).side.digest)
    assert len(digests) == 2


def test_images_are_seen_upright(tmp_path):
    image = Image.fromarray(np.arange(8 * 4 * 3, dtype=np.uint8).reshape(8, 4, 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    for name in "ab":
        image.save(tmp_path / f"{name}.png", exif=exif)
    spec = find_source(str(tmp_path), samples=9, seed=0)
    assert (spec.side.width, spec.side.height) == (8, 4)
    assert np.array_equal(open_source(spec)(0, 1)[0], np.rot90(np.asarray(image), k=-1))


@pytest.fixture
def mixed(tmp_path):
    (tmp_path / "mixed").mkdir()
    for name, size in (("a", 16), ("b", 16), ("c", 20)):
        (tmp_path / "mixed" / f"{name}.png").write_bytes(png(np.full((size, 16, 3), size, np.uint8)))
    return str(tmp_path / "mixed")


def test_mixed_sizes_name_two_files_and_what_to_do(mixed):
    with pytest.raises(EvaluationError, match=r"a\.png is 16x16, c\.png is 16x20; ") as caught:
        find_source(mixed, samples=9, seed=0)
    facts = ("evaluation.resize=clean", "tensorflow2015", "299x299", "prepare_data")
    assert missing(str(caught.value), *facts) == []
    assert "\n" not in str(caught.value)


def test_mixed_sizes_are_taken_where_a_resize_is_named(mixed):
    spec = find_source(mixed, samples=9, seed=0, mixed=True)
    assert (spec.side.count, spec.side.height, spec.side.width) == (3, None, None)
    read = open_source(spec)(0, 3)
    assert isinstance(read, list)
    assert [image.shape for image in read] == [(16, 16, 3), (16, 16, 3), (20, 16, 3)]
    assert [int(image[0, 0, 0]) for image in open_source(spec)(1, 3)] == [16, 20]


def test_one_size_stays_one_array_where_a_resize_is_named(tmp_path, colours):
    for k, image in enumerate(colours[:3]):
        (tmp_path / f"{k}.png").write_bytes(png(image))
    spec = find_source(str(tmp_path), samples=9, seed=0, mixed=True)
    assert spec == find_source(str(tmp_path), samples=9, seed=0)
    assert np.array_equal(open_source(spec)(0, 3), colours[:3])


def test_a_draw_is_seeded_and_told(collection, colours):
    """Fewer are the first of more, and without a draw they come in their own order."""
    whole = find_source(str(collection), samples=9, seed=0)
    images = by_name(colours)
    few, more, every = (drawn(whole, count, seed=3) for count in (20, 50, 70))
    assert few.side.model_dump(exclude_none=True) == {
        **whole.side.model_dump(exclude_none=True),
        "count": 20,
        "sampled_from": 70,
        "sample_seed": 3,
    }
    assert every.side == whole.side
    assert np.array_equal(open_source(few)(0, 20), open_source(more)(0, 20))
    assert np.array_equal(open_source(more)(30, 50), open_source(every)(30, 50))
    order = np.random.RandomState(3).permutation(70)
    assert np.array_equal(open_source(every)(0, 70), images[order])
    assert not np.array_equal(open_source(drawn(whole, 20, seed=4))(0, 20), open_source(few)(0, 20))
    with pytest.raises(EvaluationError, match="holds 70 images, but 71 are needed"):
        drawn(whole, 71, seed=0)


@pytest.mark.parametrize("kind", ["empty", "no image", "truncated"])
def test_a_damaged_image_is_named(tmp_path, kind):
    noise = np.random.default_rng(0).integers(0, 256, size=(16, 16, 3), dtype=np.uint8)
    data = {"empty": b"", "no image": b"no image", "truncated": png(noise)[:400]}[kind]
    (tmp_path / "a.png").write_bytes(png(np.zeros((16, 16, 3), np.uint8)))
    (tmp_path / "b.png").write_bytes(data)
    with pytest.raises(EvaluationError, match=r"b\.png is not a readable image"):
        open_source(find_source(str(tmp_path), samples=9, seed=0))(0, 2)


def test_what_is_no_source_is_said(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "words").mkdir()
    for name in ("words.txt", "words/words.txt"):
        (tmp_path / name).write_text("words")
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.png").write_bytes(png(np.zeros((16, 16, 3), np.uint8)))
    for name, words in (
        ("absent", "does not exist"),
        ("empty", "contains no files"),
        ("words", "holds no images"),
        ("words.txt", "is neither a folder nor a .tar"),
        ("one", "at least 2"),
    ):
        with pytest.raises(LatentscapeError, match=words) as caught:
            find_source(str(tmp_path / name), samples=9, seed=0)
        assert "\n" not in str(caught.value)


@pytest.mark.long
def test_a_shard_from_specifications_alone(tmp_path, colours, inception_spec):
    for k, image in enumerate(colours[:36]):
        (tmp_path / f"{k:03}.png").write_bytes(png(image))
    spec = find_source(str(tmp_path), samples=9, seed=0)
    found = source_shard_moments(spec, inception_spec, start=0, stop=36, blocks=2)
    assert np.array_equal(found.scatter, Moments.of(build_extractor(inception_spec)(colours[:36])).scatter)


def test_a_generator_is_a_source(generator_folder, inception_spec):
    spec = find_source(str(generator_folder), samples=40, seed=5)
    assert (spec.kind, spec.side.split, spec.side.count, spec.side.seed) == ("generator", "generated", 40, 5)
    loaded = load_generator(generator_folder)
    expected = loaded.images(loaded.sample_latents(40, 5))
    assert np.array_equal(open_source(spec)(0, 40), expected)
    assert np.array_equal(open_source(spec)(32, 40), expected[32:])
    more = drawn(spec, 50, seed=6)
    assert (more.side.count, more.side.seed, more.side.sampled_from) == (50, 6, None)
    assert np.array_equal(open_source(more)(40, 50), loaded.images(loaded.sample_latents(50, 6))[40:])
    (generator_folder / "config.json").unlink()
    with pytest.raises(LatentscapeError):
        find_source(str(generator_folder), samples=40, seed=5)


def test_packed_images_are_a_source(tmp_path, colours, inception_spec):
    (tmp_path / "images").mkdir()
    for k, image in enumerate(colours):
        (tmp_path / "images" / f"{k:03}.png").write_bytes(png(image))
    config = DataConfig(source="folder", path=str(tmp_path / "images"), resolution=32, held_out=0.3)
    store = prepare(config, cache=tmp_path / "cache", processes=1)
    spec = find_source(str(store.path), samples=9, seed=0)
    assert (spec.kind, spec.side.count, spec.side.split) == ("store", 70, "all")
    assert spec.side.digest == store.digest
    assert np.array_equal(open_source(spec)(60, 70), store.images[60:70])
    training = store_spec(store, split="training")
    assert training.side.count == len(store.training_indices) < 70
    assert np.array_equal(open_source(training)(5, 9), store.images[store.training_indices[5:9]])
    held_out = store_spec(store, split="held_out")
    assert (held_out.side.count, held_out.side.split) == (70 - training.side.count, "held_out")
    assert np.array_equal(open_source(held_out)(2, 5), store.images[store.held_out_indices[2:5]])
    order = np.random.RandomState(1).permutation(training.side.count)[:9]
    expected = store.images[store.training_indices[order]]
    assert np.array_equal(open_source(drawn(training, 9, seed=1))(0, 9), expected)


def test_a_held_out_part_of_nothing_is_said(tmp_path, colours):
    for k, image in enumerate(colours):
        (tmp_path / f"{k:03}.png").write_bytes(png(image))
    config = DataConfig(source="folder", path=str(tmp_path), resolution=32, held_out=0.0)
    store = prepare(config, cache=tmp_path / "cache", processes=1)
    with pytest.raises(EvaluationError, match="has 0 images held out; a score needs at least 2"):
        store_spec(store, split="held_out")


def test_another_collection_in_its_place_is_noticed(tmp_path, colours):
    for k, image in enumerate(colours[:3]):
        (tmp_path / f"{k}.png").write_bytes(png(image))
    spec = find_source(str(tmp_path), samples=9, seed=0)
    (tmp_path / "2.png").unlink()
    with pytest.raises(EvaluationError, match="holds 2 images, but 3 when the score began"):
        open_source(spec)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (saved(Image.new("1", (5000, 5000))), "too large: 5000x5000 pixels"),
        (saved(Image.new("I;16", (20, 20))), "colours in mode I;16"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n", "not an image"),
    ],
)
def test_an_image_that_is_not_taken_is_named_from_its_header(tmp_path, data, reason):
    """Pillow passes an EPS file to Ghostscript, whatever its name is."""
    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(data)
    with pytest.raises(EvaluationError, match=rf"a\.png is not a readable image .{reason}") as caught:
        find_source(str(tmp_path), samples=9, seed=0)
    assert "\n" not in str(caught.value)
