"""The sources of training images, and their terms for users of the generator."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """The terms and the content of a `data.source`.

    Attributes:
        name: Its name in a sentence.
        header: Its licence, as keys of the Hugging Face Hub.
        licence: Its licence in words.
        photographs: Whether the images are photographs of people.
        shows: What the images show, as a tag.
        knows: The only thing that the generator can draw, if the images are not photographs.
    """

    name: str
    header: dict[str, str]
    licence: str
    photographs: bool
    shows: str = "faces"
    knows: str = ""


SOURCES = {
    "utkface": Source(
        name="UTKFace",
        header={
            "license": "other",
            "license_name": "utkface-non-commercial-research",
            "license_link": "https://susanqq.github.io/UTKFace/",
        },
        licence=(
            "The training images are from [UTKFace](https://susanqq.github.io/UTKFace/), which is for non-commercial "
            "research only, and so is this generator. The copyright of the images is their owners'."
        ),
        photographs=True,
    ),
    "mnist": Source(
        name="MNIST",
        header={"license": "other", "license_name": "mnist"},
        licence=(
            "The training images are MNIST's handwritten digits (LeCun, Cortes and Burges), made from NIST's Special "
            "Databases 1 and 3; the terms are those of the source from which you got them."
        ),
        photographs=False,
        shows="digits",
        knows="handwritten digits",
    ),
    "folder": Source(
        name="a folder of images",
        header={"license": "unknown"},
        licence=(
            "The generator is bound by the terms of the images it was trained on, which Latentscape does not know. "
            "State them here, and in `license` at the top, before you share it."
        ),
        photographs=True,
    ),
    "drawn_faces": Source(
        name="faces that Latentscape draws",
        header={"license": "apache-2.0"},
        licence=(
            "The training images were drawn by Latentscape, which is under the Apache License 2.0; none of them is a "
            "photograph."
        ),
        photographs=False,
        knows="drawn faces",
    ),
}
