"""Files that a job is told to write."""

from pathlib import Path

from framework.errors import ConfigError
from framework.storage import Folder, is_uri, open_folder


def file_place(output: str, *, key: str, ending: str, example: str) -> tuple[Folder, str] | None:
    """The folder and the name of a file to write; None if `output` is empty.

    Args:
        output: The file, as typed.
        key: The key that names it.
        ending: What its name must end in, e.g. ".html".
        example: A name for it, which the error shows if `output` is a folder.

    Raises:
        ConfigError: `output` is a URI, a folder, a file with another ending, or in a folder that does not exist.
    """
    if not output:
        return None
    if is_uri(output):
        raise ConfigError(f"{key}: {output}: must be a file on this machine, not a URI")
    place = Path(output).expanduser().absolute()
    if place.is_dir():
        raise ConfigError(f"{key}: {output}: is a folder; name a file in it, e.g. {output.rstrip('/')}/{example}")
    if place.suffix.lower() != ending:
        raise ConfigError(f"{key}: {output}: the file name must end in {ending}")
    if not place.parent.is_dir():
        raise ConfigError(f"{key}: {output}: the folder {place.parent} does not exist")
    return open_folder(place.parent), place.name
