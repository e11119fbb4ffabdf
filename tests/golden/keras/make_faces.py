"""Makes faces_generator.keras.gz and faces_critic.keras.gz: a pair at 32 px that real Keras saved, for whole runs.

    .venv/bin/python tests/golden/keras/make_faces.py draw /tmp/faces.npz
    KERAS_BACKEND=jax k3/bin/python tests/golden/keras/make_faces.py save /tmp/faces.npz tests/golden/keras

`k3` is set up as make.py says. The generator paints faces without having been trained: latents weigh the first 8
principal components of drawn faces (of 16 px, as logits), so that standard normal ones make faces. It ends in a sigmoid
and has batch normalisation, so neither becomes the notebooks' pair. faces.npz holds latents, what Keras painted for
them, and what the critic, whose weights are random, says of that.
"""

import gzip
import sys
import tempfile
from pathlib import Path

import numpy as np

LATENT, SIDE, FACES, EPSILON = 8, 32, 1000, 1e-3


def draw(path):
    """Images [n,32,32,3] uint8 of `drawn_faces`."""
    from framework.data.synthetic_faces import draw_face

    np.savez(path, faces=np.stack([np.asarray(draw_face(0, index, resolution=SIDE)) for index in range(FACES)]))


def components(faces):
    """The mean [768] of logits of halved faces, and what a latent's numbers add to it [8,768]."""
    halved = faces.reshape(len(faces), SIDE // 2, 2, SIDE // 2, 2, 3).mean(axis=(2, 4)) / 255
    shares = np.clip(halved.reshape(len(faces), -1), 0.02, 0.98)
    logits = np.log(shares / (1 - shares))
    _, sizes, rows = np.linalg.svd(logits - logits.mean(axis=0), full_matrices=False)
    return logits.mean(axis=0), rows[:LATENT] * sizes[:LATENT, None] / len(faces) ** 0.5


def generator(keras, layers, faces):
    mean, rows = components(faces)
    given = keras.Input((LATENT,))
    x = layers.Dense(mean.size, use_bias=False, name="stem")(given)
    x = layers.BatchNormalization(epsilon=EPSILON, name="norm")(x)
    x = layers.Reshape((SIDE // 2, SIDE // 2, 3))(x)
    x = layers.UpSampling2D(interpolation="bilinear")(x)
    x = layers.Conv2D(3, 3, padding="same", name="last")(x)
    model = keras.Model(given, layers.Activation("sigmoid")(x))
    deviation = np.sqrt((rows**2).sum(axis=0))
    model.get_layer("stem").set_weights([rows])
    # What it normalises by is given back by scale and offset.
    offset = np.random.default_rng(1).normal(0, 0.1, mean.size)
    scale = np.sqrt(deviation**2 + EPSILON)
    model.get_layer("norm").set_weights([scale, mean + offset, offset, deviation**2])
    kernel = np.random.default_rng(2).normal(0, 0.01, (3, 3, 3, 3))
    kernel[1, 1] += np.eye(3)
    model.get_layer("last").set_weights([kernel, np.zeros(3)])
    return model


def critic(keras, layers):
    given = keras.Input((SIDE, SIDE, 3))
    x = given
    for width in (8, 12, 16):
        x = layers.Conv2D(width, 4, strides=2, padding="same")(x)
        x = layers.BatchNormalization()(x)
        x = layers.LeakyReLU(0.2)(x)
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    return keras.Model(given, layers.Dense(1, activation="sigmoid")(x))


def save(faces_path, folder):
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    with np.load(faces_path) as file:
        painter, judge = generator(keras, layers, file["faces"].astype("float64")), critic(keras, layers)
    for model, name in ((painter, "faces_generator"), (judge, "faces_critic")):
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / f"{name}.keras"
            model.save(path)
            (folder / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    latents = np.random.default_rng(0).normal(size=(2, LATENT)).astype("float32")
    images = np.asarray(painter(latents))
    np.savez_compressed(folder / "faces.npz", latents=latents, images=images, judged=np.asarray(judge(images)))


if __name__ == "__main__":
    step, *places = sys.argv[1:]
    {"draw": draw, "save": save}[step](*map(Path, places))
