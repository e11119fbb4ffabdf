"""Makes the files beside it with real Keras, once with each: `python make.py FOLDER`.

    python -m venv k2 && k2/bin/pip install "tensorflow-cpu==2.15.*"   # Keras 2
    python -m venv k3 && k3/bin/pip install keras jax                  # Keras 3, KERAS_BACKEND=jax
    k2/bin/python make.py . && KERAS_BACKEND=jax k3/bin/python make.py .

Small nets with random weights; keras2.npz and keras3.npz hold for each its input and what Keras gave for it. The files
are gzipped: HDF5 spends kilobytes of zeros on each layer.
"""

import gzip
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
from keras import layers

KERAS = int(keras.__version__.split(".")[0])
COUNT = 2


def pair_generator(size=16, latent=3, width=4):
    """The notebook's, 16 px."""
    model = keras.Sequential([keras.Input((latent,)), layers.Dense(8 * 8 * width), layers.LeakyReLU(0.2)])
    model.add(layers.Reshape((8, 8, width)))
    for _ in range((size // 8).bit_length() - 1):
        model.add(layers.Conv2DTranspose(width, (4, 4), strides=(2, 2), padding="same"))
        model.add(layers.LeakyReLU(0.2))
    model.add(layers.Conv2D(3, (8, 8), activation="tanh", padding="same"))
    return model


def pair_discriminator(size=16, width=4):
    """The notebook's, 16 px."""
    model = keras.Sequential([keras.Input((size, size, 3)), layers.Conv2D(width, (3, 3), padding="same")])
    model.add(layers.LeakyReLU(0.2))
    for _ in range((size // 8).bit_length() - 1):
        model.add(layers.Conv2D(width, (3, 3), strides=(2, 2), padding="same"))
        model.add(layers.LeakyReLU(0.2))
    model.add(layers.Flatten())
    model.add(layers.Dropout(0.4))
    model.add(layers.Dense(1, activation="sigmoid"))
    return model


def normalised():
    """Functional: batch norm of every kind, bilinear and nearest enlargement, sigmoid."""
    given = keras.Input((3,))
    x = layers.Dense(2 * 2 * 4, use_bias=False, name="stem")(given)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.Reshape((2, 2, -1))(x)
    x = layers.UpSampling2D()(x)
    x = layers.Conv2D(3, 5, padding="same", activation="leaky_relu")(x)
    x = layers.BatchNormalization(scale=False, epsilon=1e-2)(x)
    x = layers.UpSampling2D(interpolation="bilinear")(x)
    x = layers.Dropout(0.3)(x)
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(center=False)(x)
    x = layers.LeakyReLU()(x)
    x = layers.Conv2D(3, 3, padding="same")(x)
    return keras.Model(given, layers.Activation("sigmoid")(x))


def padded():
    """Every asymmetry of `same`, and `valid`, forward and transposed; rows and columns differ."""
    stack = [keras.Input((3,)), layers.Dense(3 * 2 * 2), layers.Reshape((3, 2, 2))]
    stack += [layers.Conv2DTranspose(3, 3, strides=2, padding="same")]  # [6, 4]
    stack += [layers.Conv2DTranspose(2, 5, strides=2, padding="same")]  # [12, 8]
    stack += [layers.Conv2DTranspose(2, 2, strides=3, padding="same")]  # [36, 24], stride beyond the kernel
    stack += [layers.Conv2D(3, 3, strides=2, padding="same")]  # [18, 12]
    stack += [layers.Conv2D(2, (2, 5), strides=(3, 1), padding="same")]  # [6, 12]
    stack += [layers.Conv2D(2, (4, 8), strides=(1, 2), padding="same")]  # [6, 6]
    stack += [layers.Conv2D(2, 3, padding="valid")]  # [4, 4]
    stack += [layers.Conv2DTranspose(2, (4, 3), strides=(2, 1), padding="valid")]  # [10, 6]
    stack += [layers.Conv2D(2, (3, 1), padding="valid", strides=(1, 1))]  # [8, 6]
    stack += [layers.Conv2DTranspose(1, (1, 3), padding="valid")]  # [8, 8]
    return keras.Sequential([*stack, layers.Activation("tanh")])


def critic():
    """A discriminator that is not the notebook's: batch norm, two dense layers, a logit."""
    given = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 5, strides=2, padding="same")(given)
    x = layers.LeakyReLU()(x)
    x = layers.Dropout(0.25)(x)
    x = layers.Conv2D(4, 4, strides=2, padding="same")(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU(max_value=1.0, negative_slope=0.1)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(5, activation="relu")(x)
    return keras.Model(given, layers.Dense(1)(x))


def activations():
    """Each function, one after the other."""
    names = ["relu", "elu", "selu", "gelu", "swish", "softplus", "softsign", "sigmoid", "tanh"]
    stack = [layer for name in names for layer in (layers.Dense(4), layers.Activation(name))]
    return keras.Sequential([keras.Input((3,)), *stack, layers.Dense(8 * 8), layers.Reshape((8, 8, 1))])


def filled(model, seed):
    """Weights that show every mistake: no zero bias, no statistics at their start."""
    random = np.random.default_rng(seed)
    for layer in model.layers:
        spread = [random.normal(0.1, 0.5, array.shape).astype("float32") for array in layer.get_weights()]
        if isinstance(layer, layers.BatchNormalization):
            spread[-1] = np.abs(spread[-1]) + 0.2
        layer.set_weights(spread)
    return model


def saved(model, name):
    """The bytes of the file that Keras writes."""
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / name, include_optimizer=False)
        return (Path(folder) / name).read_bytes()


def main(folder):
    given_and_got = {}
    for seed, make in enumerate((pair_generator, pair_discriminator, normalised, padded, critic, activations)):
        model, name = filled(make(), seed), make.__name__
        given = np.random.default_rng(seed).normal(0, 0.5, (COUNT, *model.input_shape[1:])).astype("float32")
        given_and_got |= {f"{name}.given": given, f"{name}.gives": model.predict(given, verbose=0)}
        for kind in ("h5", "keras") if KERAS == 3 else ("h5",):
            packed = gzip.compress(saved(model, f"{name}.{kind}"), mtime=0)
            (folder / f"{name}_keras{KERAS}.{kind}.gz").write_bytes(packed)
    np.savez_compressed(folder / f"keras{KERAS}.npz", **given_and_got)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
