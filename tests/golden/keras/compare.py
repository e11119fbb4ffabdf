"""How far the images of an imported run are from those of Keras itself: `python compare.py FILE RUN`.

    pip install keras h5py               # in the environment that latentscape is in; KERAS_BACKEND=torch
    KERAS_BACKEND=torch python tests/golden/keras/compare.py generator.h5 runs/notebook

`python compare.py --make FILE SIZE` saves a generator like the notebook's; its weights are Keras's own draws, enlarged
so that images fill the range.
"""

import sys
from pathlib import Path

import keras
import numpy as np
import torch
from make import pair_generator

import framework

COUNT = 64
LARGER = 1.8


def compare(file, run):
    """Both on the same latents, float32, before rounding to levels."""
    generator = framework.load_generator(run)
    latents = generator.sample_latents(COUNT, 0)
    theirs = keras.models.load_model(file, compile=False).predict(latents, verbose=0)
    with torch.inference_mode():
        ours = generator.network(torch.from_numpy(latents)).permute(0, 2, 3, 1).numpy()
    print(f"Keras {keras.__version__}, {COUNT} images {list(theirs.shape[1:])}")
    print(f"largest difference {np.abs(ours - theirs).max():.2g} of a range of {theirs.max() - theirs.min():.3g}")


if __name__ == "__main__":
    if sys.argv[1] == "--make":
        keras.utils.set_random_seed(0)
        model = pair_generator(size=int(sys.argv[3]), latent=100, width=128)
        model.set_weights([LARGER * array for array in model.get_weights()])
        model.save(Path(sys.argv[2]))
    else:
        compare(sys.argv[1], sys.argv[2])
