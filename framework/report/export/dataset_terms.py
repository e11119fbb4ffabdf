"""Where training images come from, and what that means for who uses the generator."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """What a `data.source` means for who uses the generator.

    Attributes:
        name: For people.
        header: The Hub's keys of its licence.
        licence: The same in words.
        photographs: Whether the images show people.
        shows: What its images show, as a tag.
        knows: What a generator knows alone, where that is no photographs.
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
            "Databases 1 and 3; their terms are those of who you have them from."
        ),
        photographs=False,
        shows="digits",
        knows="handwritten digits",
    ),
    "folder": Source(
        name="a folder of images",
        header={"license": "unknown"},
        licence=(
            "The generator is bound by the terms of the images it was trained on, which Latentscape does not know: "
            "put them here, and into `license` at the top, before you pass it on."
        ),
        photographs=True,
    ),
    "drawn_faces": Source(
        name="faces that Latentscape draws",
        header={"license": "apache-2.0"},
        licence=(
            "The training images are drawn by Latentscape, which is under the Apache License 2.0; there is no "
            "photograph among them."
        ),
        photographs=False,
        knows="drawn faces",
    ),
}
