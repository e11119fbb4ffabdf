"""Models that Keras saved: what they compute here is what Keras gave; what is not supported is refused by its name."""

import base64
import functools
import gzip
import json
import marshal
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from framework.config import ModelConfig
from framework.errors import CheckpointError, ConfigError
from framework.models import build_discriminator, build_generator, keras_import
from framework.models.architectures import described_layers as plain
from framework.models.architectures.described import Discriminator, Generator, chain
from framework.models.keras_import import import_discriminator, import_generator
from framework.models.keras_import.weights import states_of, step_names

GOLDEN = Path(__file__).parents[1] / "golden" / "keras"
SAVED = ("keras2.h5", "keras3.h5", "keras3.keras")
NAMES = ("pair_generator", "pair_discriminator", "normalised", "padded", "critic", "activations")
CLOSE = 1e-5
read_model = functools.partial(keras_import.read_model, guarded=False)  # a process for each would take minutes


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    """Unpacks a golden file; gives its path, its input and what Keras gave."""
    folder = tmp_path_factory.mktemp("keras")

    def unpack(name, saved="keras2.h5"):
        path = folder / f"{name}_{saved}"
        if not path.exists():
            path.write_bytes(gzip.decompress((GOLDEN / f"{path.name}.gz").read_bytes()))
        with np.load(GOLDEN / f"{saved.partition('.')[0]}.npz") as known:
            return path, known[f"{name}.given"], known[f"{name}.gives"]

    return unpack


@pytest.fixture
def changed(golden, tmp_path):
    """A golden HDF5 file whose description was changed by hand."""

    def change(edit, name="pair_generator", saved="keras2.h5"):
        path = tmp_path / "changed.h5"
        path.write_bytes(golden(name, saved)[0].read_bytes())
        with h5py.File(path, "r+") as file:
            document = json.loads(file.attrs["model_config"])
            edit(document)
            file.attrs["model_config"] = json.dumps(document)
        return path

    return change


def difference(found, keras):
    """Largest absolute difference of torch's [n,c,h,w] or [n] from Keras's [n,h,w,c] or [n,1]."""
    found = found.detach().numpy()
    found = found.transpose(0, 2, 3, 1) if found.ndim == 4 else found.reshape(len(found), -1)
    assert found.shape == keras.shape
    return float(np.abs(found - keras).max())


def images(given):
    return torch.from_numpy(given).permute(0, 3, 1, 2)


def built(imported, build):
    network = build(
        ModelConfig.model_validate(imported.model), resolution=imported.resolution, channels=imported.channels, seed=0
    )
    network.load_state_dict(imported.weights)
    return network


@pytest.mark.parametrize("saved", SAVED)
@pytest.mark.parametrize("name", NAMES)
def test_every_layer_computes_what_keras_computes(golden, name, saved):
    path, given, keras = golden(name, saved)
    model = read_model(path)
    network = chain(model.layers, plain.shapes_of(model.layers, model.input_shape, key="layers"))
    network.load_state_dict({key.removeprefix("steps."): value for key, value in step_names(states_of(model)).items()})
    x = torch.from_numpy(given)
    x = images(given) if x.ndim == 4 else x
    for step in network:
        x = step(x)
    assert difference(x, keras) < CLOSE
    assert (model.form, model.version[0]) == (".keras" if saved.endswith(".keras") else "HDF5", saved[5])


@pytest.mark.parametrize("saved", SAVED)
def test_the_notebooks_pair_becomes_ours(golden, saved):
    path, given, keras = golden("pair_generator", saved)
    generator = import_generator(read_model(path))
    assert generator.model == {"architecture": "dcgan", "latent_size": 3, "width": 4}
    assert (generator.resolution, generator.channels, generator.range, generator.is_pair) == (16, 3, "signed", True)
    assert difference(built(generator, build_generator)(torch.from_numpy(given)), keras) < CLOSE
    path, given, keras = golden("pair_discriminator", saved)
    discriminator = import_discriminator(read_model(path), generator=generator)
    assert discriminator.model == {"dropout": 0.4, "width": 4}
    logits = built(discriminator, build_discriminator)(images(given))
    assert difference(logits.sigmoid(), keras) < CLOSE


@pytest.mark.parametrize("saved", SAVED)
def test_others_become_layers_as_data_in_our_range(golden, saved):
    path, given, keras = golden("normalised", saved)
    generator = import_generator(read_model(path))
    assert (generator.range, generator.reason) == ("unit", "it ends in sigmoid")
    assert generator.model["architecture"] == "keras"
    assert json.loads(json.dumps(generator.model)) == generator.model
    network = built(generator, build_generator)
    assert difference(network(torch.from_numpy(given)), 2 * keras - 1) < CLOSE
    path, given, keras = golden("critic", saved)
    critic = import_discriminator(read_model(path), generator=generator)
    assert critic.model["dropout"] == 0.25
    assert difference(built(critic, build_discriminator)(2 * images(given) - 1), keras) < CLOSE


def test_only_what_is_exactly_the_pair_is_the_pair(changed):
    def other_slope(document):
        document["config"]["layers"][2]["config"]["alpha"] = 0.25

    assert not import_generator(read_model(changed(other_slope))).is_pair


def test_a_description_from_before_keras_2_2_3_is_read(changed, golden):
    def old(document):
        layers = [layer for layer in document["config"]["layers"] if layer["class_name"] != "InputLayer"]
        layers[0]["config"]["batch_input_shape"] = [None, 3]
        document["config"] = layers

    _, given, keras = golden("pair_generator")
    generator = import_generator(read_model(changed(old)))
    assert difference(built(generator, build_generator)(torch.from_numpy(given)), keras) < CLOSE


def test_the_range_is_said_where_no_activation_tells_it(golden):
    model = read_model(golden("activations")[0])
    with pytest.raises(CheckpointError, match=r"ends in no activation.* pass range=signed .* or range=unit"):
        import_generator(model)
    assert import_generator(model, range="unit").model["layers"][-1] == {"kind": "range", "to": "model"}
    assert import_generator(model, range="signed").model["layers"][-1]["kind"] == "reshape"
    with pytest.raises(CheckpointError, match="range=unit, but it ends in tanh, which is signed"):
        import_generator(read_model(golden("pair_generator")[0]), range="unit")


def test_a_pair_that_does_not_fit_is_refused(golden):
    generator, judge = (read_model(golden(name)[0]) for name in ("normalised", "pair_discriminator"))
    with pytest.raises(CheckpointError, match=r"the input is \[16, 16, 3\]; the generator's images are \[8, 8, 3\]"):
        import_discriminator(judge, generator=import_generator(generator))
    with pytest.raises(CheckpointError, match=r"a generator's input is a latent"):
        import_generator(judge)
    ours = import_generator(read_model(golden("pair_generator")[0]))
    with pytest.raises(CheckpointError, match=r"the input is \[3\]; it must be square images"):
        import_discriminator(generator, generator=ours)


def test_the_mask_is_for_the_last_dropout_channels_last():
    # Two pixels of two channels, all 1; the dense layer weighs them 1, 10, 100, 1000 in Keras's order.
    kinds = [plain.Dropout(rate=0.1), plain.Dropout(rate=0.5), plain.Reshape(shape=(8,)), plain.Dense(units=1)]
    network = Discriminator(plain.documents_of(kinds), resolution=2, channels=2, dropout=0.5)
    weight = torch.tensor([[1.0, 10.0, 100.0, 1000.0, 0.0, 0.0, 0.0, 0.0]])
    network.load_state_dict({"steps.3.weight": weight, "steps.3.bias": torch.zeros(1)})
    ones = torch.ones(1, 2, 2, 2)
    assert network.features == 8
    assert network(ones).item() == 1111.0
    mask = torch.tensor([[False, True, False, True, True, True, True, True]])
    assert network(ones, mask).item() == 2 * 1010.0


def test_normalisation_keeps_its_statistics_and_learns_the_rest(golden):
    network = built(import_generator(read_model(golden("normalised")[0])), build_generator).train()
    before = {name: value.clone() for name, value in network.named_buffers()}
    network(torch.randn(4, 3)).square().sum().backward()
    assert before
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())
    assert all(parameter.grad is not None for parameter in network.parameters())


def layer(document, kind):
    return next(layer for layer in document["config"]["layers"] if layer["class_name"] == kind)


def with_settings(kind, **settings):
    def edit(document):
        layer(document, kind)["config"].update(settings)

    return edit


def with_class(kind, **described):
    def edit(document):
        layer(document, kind).update(described)

    return edit


REFUSED = {
    "dilation": (
        with_settings("Conv2D", dilation_rate=[2, 2]),
        r"\(Conv2D\) has dilation_rate=\[2, 2\]; supported: 1",
    ),
    "causal": (with_settings("Conv2D", padding="causal"), "has padding=causal; supported: same and valid"),
    "groups": (with_settings("Conv2D", groups=2), r"layer conv2d\w* \(Conv2D\) has groups=2; supported: 1"),
    "first": (
        with_settings("Conv2D", data_format="channels_first"),
        "data_format=channels_first; supported: channels_l",
    ),
    "cropped": (with_settings("Conv2DTranspose", output_padding=[1, 1]), "has output_padding="),
    "half": (
        with_settings("Dense", dtype="mixed_float16"),
        r"\(Dense\) computes in mixed_float16; supported: float32",
    ),
    "no policy": (with_settings("Dense", dtype={"config": 7}), r"\(Dense\) computes in 7; supported: float32"),
    "softmax": (with_settings("Conv2D", activation="softmax"), "has activation=softmax; supported: linear, relu,"),
    "own function": (with_settings("Dense", activation={"config": "mine"}), "has activation=mine; supported:"),
    "lora": (with_settings("Dense", lora_rank=4), "has lora_rank=4, which is not supported"),
    "rank": (with_settings("Reshape", target_shape=[64, 4]), r"has target_shape=\[64, 4\]; supported:"),
    "sizes": (
        with_settings("Reshape", target_shape=[9, 8, 4]),
        r"\(Reshape\): the input \[256\] cannot be reshaped to \[9, 8, 4\]",
    ),
    "no units": (with_settings("Dense", units="many"), r"\(Dense\) has settings that are not supported \(units: "),
    "huge": (with_settings("Dense", units=2**24), r"numbers are more than|needs \[3, 16777216\]"),
    "separable": (
        with_class("Conv2D", class_name="SeparableConv2D"),
        r"\(SeparableConv2D\) is not supported; supported: De",
    ),
    "nested": (with_class("Dense", class_name="Sequential"), r"\(Sequential\) is not supported"),
    "custom": (
        with_class("Dense", registered_name="mine>Dense"),
        "the custom class mine>Dense, which is not",
    ),
    "module": (with_class("Dense", module="mine.layers"), "a custom class of the module mine.layers"),
    "no model": (
        lambda document: document.update(class_name="Mine"),
        "is a Mine; supported: Sequential and Functional",
    ),
    "empty": (lambda document: document["config"].update(layers=[]), "has no layers"),
    "no names": (lambda document: document["config"].update(layers=[7]), "layer 0 is not described as Keras does"),
    "open": (with_settings("InputLayer", batch_input_shape=[None, None]), "does not fix the input's shape"),
    "renamed": (with_settings("Dense", name="other"), "the weights have no other"),
}


@pytest.mark.parametrize(("edit", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_taken_is_refused_by_its_name(changed, edit, said):
    path = changed(edit)
    with pytest.raises(CheckpointError, match=said) as fault:
        read_model(path)
    assert str(fault.value).startswith(f"{path}: ")
    assert "\n" not in str(fault.value)


def test_a_lambda_is_refused_and_never_run(changed, tmp_path):
    mark = tmp_path / "was-run"
    code = base64.b64encode(marshal.dumps(compile(f"open({str(mark)!r}, 'w')", "lambda", "exec"))).decode()
    edit = with_class("LeakyReLU", class_name="Lambda", config={"name": "trick", "function": [code, None, None]})
    with pytest.raises(CheckpointError, match=r"layer trick \(Lambda\) is not supported"):
        read_model(changed(edit))
    assert not mark.exists()


def two_inputs(document):
    document["config"]["input_layers"].append(["other", 0, 0])


def branch(document):
    layers = document["config"]["layers"]
    layers[-1]["inbound_nodes"] = layers[-2]["inbound_nodes"]


def merge(document):
    last = document["config"]["layers"][-1]
    last["inbound_nodes"][0].append([last["inbound_nodes"][0][0][0], 0, 0, {}])


def shared(document):
    last = document["config"]["layers"][-1]
    last["inbound_nodes"].append(last["inbound_nodes"][0])


def training(document):
    layer(document, "BatchNormalization")["inbound_nodes"][0][0][3] = {"training": True}


def no_nodes(document):
    layer(document, "BatchNormalization")["inbound_nodes"] = 7


def no_arguments(document):
    layer(document, "BatchNormalization")["inbound_nodes"][0][0][3] = 1


def no_name(document):
    layer(document, "BatchNormalization")["inbound_nodes"][0][0][0] = []


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (no_nodes, r"\(BatchNormalization\) has inputs that are not described as Keras does"),
        (no_arguments, r"\(BatchNormalization\) has inputs that are not described as Keras does"),
        (no_name, r"\(BatchNormalization\) has inputs that are not described as Keras does"),
        (two_inputs, "has 2 inputs; supported: models of one input and one output"),
        (branch, "feeds two layers; supported: a chain of layers"),
        (merge, r"\(Activation\) has 2 inputs; supported: a chain"),
        (shared, r"\(Activation\) is used 2 times; supported: a chain"),
        (training, r"\(BatchNormalization\) is called with training=True, which is not supported"),
        (with_settings("BatchNormalization", axis=[1], renorm=True), "has renorm=True, which is not supported"),
        (with_settings("BatchNormalization", axis=[2]), r"has axis=\[2\]; supported: the last one"),
        (
            with_settings("UpSampling2D", interpolation="lanczos3"),
            "has interpolation=lanczos3; supported: nearest and",
        ),
        (with_settings("ReLU", threshold=0.5), "has threshold=0.5; supported: 0"),
    ],
)
def test_what_is_no_chain_of_known_layers_is_refused(changed, edit, said):
    with pytest.raises(CheckpointError, match=said):
        read_model(changed(edit, "normalised"))


def replaced(file, make):
    """Puts something else in the place of the last convolution's kernel."""
    group = next(
        group for name, group in file["model_weights"].items() if name.startswith("conv2d") and "_tr" not in name
    )
    inner = group[group.name.rsplit("/", 1)[-1]]
    old = inner["kernel:0"][()]
    del inner["kernel:0"]
    make(inner, old)


def external_link(group, old):
    group["kernel:0"] = h5py.ExternalLink("elsewhere.h5", "/kernel")


def soft_link(group, old):
    group["kernel:0"] = h5py.SoftLink("/model_weights")


def outside(group, old):
    group.create_dataset("kernel:0", shape=old.shape, dtype="f4", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def virtual(group, old):
    layout = h5py.VirtualLayout(shape=old.shape, dtype="f4")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "kernel", shape=old.shape)
    group.create_virtual_dataset("kernel:0", layout)


def nothing(group, old):
    pass


def terabytes(group, old):
    group.create_dataset("kernel:0", shape=(2**20, 2**20), dtype="f4", chunks=(64, 64))


def strings(group, old):
    group.create_dataset("kernel:0", data=np.full(old.shape, b"x"))


def not_finite(group, old):
    group["kernel:0"] = np.full_like(old, np.nan)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (external_link, "is a link, which is not supported"),
        (soft_link, "is a link, which is not supported"),
        (outside, r"\(Conv2D\): kernel is stored outside this file, which is not supported"),
        (virtual, "kernel is stored outside this file"),
        (nothing, "the weights have no conv2d"),
        (terabytes, r"kernel has shape \[1048576, 1048576\]; its layer needs \[8, 8, 4, 3\]"),
        (strings, "it must be floating point"),
        (not_finite, "has values that are not finite"),
    ],
)
def test_weights_are_read_from_this_file_alone_and_checked(golden, tmp_path, make, said):
    path = tmp_path / "odd.h5"
    path.write_bytes(golden("pair_generator")[0].read_bytes())
    with h5py.File(path, "r+") as file:
        replaced(file, make)
    with pytest.raises(CheckpointError, match=said):
        read_model(path)


def test_files_that_are_none_are_one_line(golden, tmp_path):
    whole = golden("pair_generator")[0].read_bytes()
    keras3 = golden("pair_generator", "keras3.keras")[0].read_bytes()

    def refused(content, said, name="file"):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=said) as fault:
            read_model(path)
        assert "\n" not in str(fault.value)

    with pytest.raises(CheckpointError, match=r"nowhere\.h5: does not exist"):
        read_model(tmp_path / "nowhere.h5")
    with pytest.raises(CheckpointError, match="is a folder"):
        read_model(tmp_path)
    refused(b"", "is neither HDF5 nor .keras")
    refused(b"\x80\x04}q\x00.", "is neither HDF5 nor .keras")
    refused(whole[: len(whole) // 2], "is damaged")
    refused(whole[:40], "is damaged")
    refused(keras3[: len(keras3) // 2], "is damaged")


@pytest.mark.long
def test_a_damaged_file_holds_nobody_up(golden, tmp_path):
    for saved in ("keras2.h5", "keras3.keras"):
        assert keras_import.read_model(golden("pair_generator", saved)[0]).output_shape == (16, 16, 3)
    whole = golden("pair_generator")[0].read_bytes()
    path = tmp_path / "damaged.h5"
    path.write_bytes(whole[:5040] + b"\xff" * 200 + whole[5240:])  # h5py alone never comes back with an attribute of it
    with pytest.raises(CheckpointError, match=r"is damaged \(HDF5 hangs while reading it\)"):
        keras_import.read_model(path)


def test_an_archive_says_what_it_lacks(golden, tmp_path):
    source = golden("pair_generator", "keras3.keras")[0]

    def packed(**entries):
        path = tmp_path / "packed.keras"
        with zipfile.ZipFile(source) as there, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as here:
            contents = {name: there.read(name) for name in there.namelist()} | entries
            for name, content in contents.items():
                if content is not None:
                    here.writestr(name, content)
        return path

    assert read_model(packed()).version == "3.15.1"
    lacking = [
        ({"config.json": None}, "it has no config.json"),
        ({"model.weights.h5": None}, "it has no model.weights.h5"),
        ({"net/data.pkl": b"x"}, "torch"),
        ({"config.json": "[" * 100_000}, "is damaged"),
        ({"config.json": " " * (17 << 20)}, r"its config.json is larger than 16 MiB"),
        ({"model.weights.h5": b"nothing"}, "is damaged"),
    ]
    for entries, said in lacking:
        with pytest.raises(CheckpointError, match=said):
            read_model(packed(**entries))


def test_weights_without_their_model_are_told_from_a_model(tmp_path):
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file.attrs["layer_names"] = np.array([b"dense"])
    with pytest.raises(CheckpointError, match="contains weights without a model; it must"):
        read_model(tmp_path / "weights.h5")
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"] = np.zeros(3)
    with pytest.raises(CheckpointError, match="contains no Keras model"):
        read_model(tmp_path / "data.h5")


def test_layers_from_a_config_are_checked(golden):
    layers = import_generator(read_model(golden("normalised")[0])).model["layers"]
    shape = {"latent_size": 3, "resolution": 8, "channels": 3}
    assert Generator(layers, **shape)(torch.zeros(1, 3)).shape == (1, 3, 8, 8)
    for change, said in [
        ({"units": 17}, r"model.layers\[3\]: Reshape: the input \[17\] cannot be reshaped"),
        ({"units": 0}, r"model.layers\[0.dense.units\]"),
        ({"kind": "lambda"}, r"model.layers\[0\]"),
        ({"more": 1}, r"model.layers\[0.dense.more\]"),
    ]:
        with pytest.raises(ConfigError, match=said):
            Generator([layers[0] | change, *layers[1:]], **shape)
    with pytest.raises(ConfigError, match=r"the output is \[8, 8, 3\]; it must be \[16, 16, 3\]"):
        Generator(layers, **shape | {"resolution": 16})
