"""Files that a source holds beside its images and that are never taken for images: hidden ones and those of systems."""

_NOT_IMAGES = {"Thumbs.db", "desktop.ini"}


def is_visible(name: str) -> bool:
    """Whether a file in a source may be an image, by its path."""
    steps = name.replace("\\", "/").split("/")
    hidden = any(step.startswith(".") and step not in {".", ".."} for step in steps)
    return not hidden and "__MACOSX" not in steps and steps[-1] not in _NOT_IMAGES
