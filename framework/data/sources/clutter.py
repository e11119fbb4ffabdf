"""Files and folders that lie beside images and are never taken for images: hidden ones, and those of systems."""

# "1 as before": the names that the first rules of packing left out.
_OLD_FOLDERS, _OLD_FILES = frozenset(["__MACOSX"]), frozenset(["Thumbs.db", "desktop.ini"])
_FOLDERS = frozenset(
    [
        *("__macosx", "$recycle.bin", "#recycle", "system volume information", "lost+found"),
        *("@eadir", "@__thumb", "_thumb", "_thumbs"),  # thumbnails, which network drives and galleries write
    ]
)
_FILES = frozenset(["thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r"])


def clutter(name: str, *, rules: int) -> str | None:
    """Why a file or folder is never an image, by its path in the source; None if it may be one.

    >>> [clutter(name, rules=2) for name in ("a/.x.jpg", "a/@eaDir/b.jpg", "thumbs.db", "./.././a.jpg")]
    ['hidden', 'system', 'system', None]
    """
    steps = name.replace("\\", "/").split("/")
    hidden = any(step.startswith(".") and step not in {".", ".."} for step in steps)
    if rules == 1:
        system = not _OLD_FOLDERS.isdisjoint(steps) or steps[-1] in _OLD_FILES
    else:
        steps = [step.lower() for step in steps]
        system = not _FOLDERS.isdisjoint(steps) or steps[-1] in _FILES
    return "system" if system else "hidden" if hidden else None
