"""DINOv2 and CLIP from a file of the user: held to torch-fidelity's CLIP, and to what DINOv2's own code gave."""

import zlib

import numpy as np
import pytest
import safetensors.torch
import torch

from framework.config import EvaluationConfig
from framework.errors import EvaluationError
from framework.evaluation.features.extractor import build_extractor
from framework.evaluation.features.resizing import resize_clean
from framework.evaluation.features.resolving import resolve_features
from framework.evaluation.features.transformer import VisionTransformer, architecture_of
from tests.conftest import missing

WIDTH, DEPTH = 128, 2


def random_weights(shapes):
    """Seeded weights by name: around 1 for norms and scales, small otherwise."""
    weights = {}
    for name, shape in shapes.items():
        numbers = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
        around_one = name.endswith("gamma") or (("norm" in name or "ln_" in name) and name.endswith("weight"))
        weights[name] = torch.from_numpy((1 + 0.2 * numbers if around_one else 0.05 * numbers).astype(np.float32))
    return weights


def dinov2(*, registers=0, giant=False, grid=37):
    """The names and shapes of DINOv2's files, with `mask_token`, which no feature depends on."""
    shapes = {"cls_token": (1, 1, WIDTH), "pos_embed": (1, grid**2 + 1, WIDTH), "mask_token": (1, WIDTH)}
    shapes |= {"register_tokens": (1, registers, WIDTH)} if registers else {}
    shapes |= {"patch_embed.proj.weight": (WIDTH, 3, 14, 14), "patch_embed.proj.bias": (WIDTH,)}
    dense = {"w12": (688, WIDTH), "w3": (WIDTH, 344)} if giant else {"fc1": (512, WIDTH), "fc2": (WIDTH, 512)}
    layers = {"attn.qkv": (3 * WIDTH, WIDTH), "attn.proj": (WIDTH, WIDTH)} | {f"mlp.{k}": v for k, v in dense.items()}
    for block in range(DEPTH):
        for name, shape in layers.items():
            shapes |= {f"blocks.{block}.{name}.weight": shape, f"blocks.{block}.{name}.bias": shape[:1]}
        for name in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias", "ls1.gamma", "ls2.gamma"):
            shapes[f"blocks.{block}.{name}"] = (WIDTH,)
    return random_weights(shapes | {"norm.weight": (WIDTH,), "norm.bias": (WIDTH,)})


def of_torch_fidelity(image_side=224, patch=32):
    """torch-fidelity's CLIP with seeded weights, and a state dict of the names in CLIP's files."""
    from torch_fidelity.feature_extractor_clip import CLIPVisual, build_model

    module = CLIPVisual(64, image_side, DEPTH, WIDTH, patch)
    weights = random_weights({name: tuple(value.shape) for name, value in module.state_dict().items()})
    weights = {name: value.half().float() for name, value in weights.items()}  # it keeps them in half precision
    whole = {**weights, "text_projection": torch.zeros(3, 64), "logit_scale": torch.tensor(1.0)}
    return build_model(dict(whole), torch.float32), whole


def pixels(count, side):
    numbers = np.arange(count * side * side * 3).reshape(count, side, side, 3)
    return (numbers * 7919 % 256).astype(np.uint8)


# What DinoVisionTransformer of facebookresearch/dinov2 at b8931f7 gives for `pixels(2, 224)` and these weights: the
# first four features of the second image, and the mean absolute value of all.
GOLDEN = {
    "plain": ({}, (-0.748755, -0.156223, 0.623528, -0.119557), 0.822246),
    "registers": ({"registers": 4}, (-0.734297, -0.1498, 0.582103, -0.090347), 0.820682),
    "giant": ({"giant": True}, (-0.370417, -0.388589, -0.274812, -0.152052), 0.788713),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_dinov2_gives_what_its_own_code_gives(name):
    keys, first, mean = GOLDEN[name]
    network = VisionTransformer(dinov2(**keys))
    features = network(torch.from_numpy(pixels(2, 224)).float())
    np.testing.assert_allclose(features[1, :4], first, atol=2e-5)
    assert float(features.abs().mean()) == pytest.approx(mean, abs=2e-5)
    assert network.architecture.side == 224


def test_places_of_the_grid_itself_are_not_interpolated():
    weights = dinov2(grid=16)
    places = VisionTransformer(weights)._places
    torch.testing.assert_close(places, weights["pos_embed"], rtol=0, atol=0)


@pytest.mark.parametrize(("side", "patch"), [(224, 32), (96, 16)])
def test_clip_gives_what_torch_fidelitys_gives(side, patch, tmp_path):
    from torch_fidelity.feature_extractor_clip import FeatureExtractorCLIP

    module, weights = of_torch_fidelity(side, patch)
    theirs = FeatureExtractorCLIP.__new__(FeatureExtractorCLIP)  # its __init__ downloads, or runs a TorchScript
    torch.nn.Module.__init__(theirs)
    theirs.model, theirs.resolution, theirs.features_list = module, side, ["clip"]
    theirs.feature_extractor_internal_dtype = torch.float32
    file = tmp_path / "clip.safetensors"
    safetensors.torch.save_file(weights, file)
    images = pixels(35, 50)
    spec = spec_of(file, resize="tensorflow2015")
    expected = theirs(torch.from_numpy(images).permute(0, 3, 1, 2))[0].numpy()
    np.testing.assert_allclose(build_extractor(spec)(images), expected, atol=2e-5)
    assert (spec.kind, spec.tap, spec.side) == ("file", 64, side)
    visual = {name.removeprefix("visual."): value for name, value in weights.items() if name.startswith("visual.")}
    assert architecture_of(visual) == architecture_of(weights)


def spec_of(file, **keys):
    config = EvaluationConfig.model_validate({"features": str(file), **keys})
    return resolve_features(config, assessor_folder=None)


def test_images_are_resized_with_antialias_and_normalised(tmp_path):
    file = tmp_path / "mine.pth"
    torch.save(weights := dinov2(), file)
    images = pixels(3, 300)
    spec = spec_of(file)
    expected = VisionTransformer(weights)(resize_clean(torch.from_numpy(images), 224))
    np.testing.assert_allclose(build_extractor(spec)(images), expected, atol=2e-5)
    grey = images[..., :1]
    np.testing.assert_array_equal(build_extractor(spec)(grey), build_extractor(spec)(grey.repeat(3, axis=3)))
    assert missing(spec.resize, "224x224", "bicubic", "antialias") == []
    assert spec_of(file, resize="tensorflow2015").resize != spec.resize
    assert (spec.name, spec.prefix) == (f"dinov2-vit{WIDTH}14", f"file_dinov2vit{WIDTH}14")
    assert spec.files == (str(file.resolve()),)


def named(width, patch, *, registers=0, family="dinov2", grid=37):
    """The name of the architecture of so wide a network, from tensors without memory."""
    shape = {"cls_token": (1, 1, width), "pos_embed": (1, grid**2 + 1, width), "blocks.0.attn.qkv.weight": (1,)}
    shape |= {"patch_embed.proj.weight": (width, 3, patch, patch), "register_tokens": (1, registers, width)}
    if family == "clip":
        shape = {"conv1.weight": (width, 3, patch, patch), "class_embedding": (width,), "proj": (width, 512)}
        shape |= {"positional_embedding": (grid**2 + 1, width), "transformer.resblocks.0.attn.in_proj_weight": (1,)}
        shape = {f"visual.{name}": value for name, value in shape.items()}
    weights = {name: torch.empty(size, device="meta") for name, size in shape.items() if 0 not in size}
    return architecture_of(weights).name


def test_published_networks_have_their_names():
    assert [named(width, 14) for width in (384, 768, 1024, 1536)] == [f"dinov2-vit{size}14" for size in "sblg"]
    assert named(768, 14, registers=4) == "dinov2-vitb14-reg"
    of_clip = [(768, 32, 7), (768, 16, 14), (1024, 14, 16), (1024, 14, 24)]
    assert [named(width, patch, family="clip", grid=grid) for width, patch, grid in of_clip] == [
        *("clip-vit-b-32", "clip-vit-b-16"),
        *("clip-vit-l-14", "clip-vit-l-14-336px"),
    ]


def of_other_names():
    return {"embeddings.cls_token": torch.zeros(1), "encoder.layer.0": torch.zeros(1)}


def without(name):
    return {key: value for key, value in dinov2().items() if key != name}


@pytest.mark.parametrize(
    ("content", "facts"),
    [
        (of_other_names(), ("cls_token", "embeddings.cls_token")),
        ({}, ("cls_token",)),
        (without("blocks.1.mlp.fc2.bias"), ("blocks.1.mlp.fc2.bias",)),
        (without("pos_embed"), ("pos_embed",)),
        (dinov2() | {"pos_embed": torch.zeros(1, 12, WIDTH)}, (11,)),
        (dinov2() | {"norm.weight": torch.full((WIDTH,), torch.nan)}, ("finite",)),
        (dinov2() | {"blocks.0.attn.proj.weight": torch.zeros(3, 5)}, ()),
        (dinov2() | {"patch_embed.proj.weight": torch.zeros(100, 3, 14, 14)}, ("[100, 3, 14, 14]",)),
        ({"model": dinov2()}, ()),
    ],
    ids=range(9),
)
def test_what_is_no_such_file_is_one_line(tmp_path, content, facts):
    file = tmp_path / "mine.pth"
    torch.save(content, file)
    with pytest.raises(EvaluationError) as caught:
        spec_of(file)
    assert all(str(fact) in str(caught.value) for fact in ("evaluation.features", file, *facts)), str(caught.value)
    assert "\n" not in str(caught.value)


class Evil:
    def __reduce__(self):
        return (open, ("PWNED", "w"))


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
def test_no_code_of_a_file_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"cls_token": Evil()}, "evil.pth")
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), "clip.pt")
    for name, fact in (("evil.pth", "evil.pth"), ("clip.pt", "TorchScript"), ("absent.pth", "absent.pth")):
        with pytest.raises(EvaluationError) as caught:
            spec_of(name)
        assert fact in str(caught.value)
    assert not (tmp_path / "PWNED").exists()


def test_a_file_that_changes_is_noticed(tmp_path):
    file = tmp_path / "mine.pth"
    torch.save(dinov2(), file)
    spec = spec_of(file)
    torch.save(dinov2(registers=4), file)
    with pytest.raises(EvaluationError, match=spec.digest):
        build_extractor(spec)
