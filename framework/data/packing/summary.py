"""The summary of packed images, at a glance: what was found, what was taken, and what looks wrong."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from framework.config import DataConfig
from framework.data.packing.folders import folder_counts, mask_folders, paired_folders
from framework.data.packing.held_out import split_folders
from framework.data.packing.report import COPIES, PackingReport, Scaled, Shapes
from framework.data.store import PackedStore

_MOST_FOLDERS = 6
_MOST_REASONS = 4


def summary_lines(store: PackedStore, config: DataConfig) -> list[str]:
    """The lines to print about packed files; none for MNIST, drawn faces and a store of an earlier version."""
    if store.packing_report is None:
        return []
    report = PackingReport.from_json(store.packing_report)
    if report.shapes is None:
        return []
    places = f"{store.path / COPIES}"
    return [
        f"Files: {report.files:,} found{_folders(report.folders)}, {len(store):,} taken",
        *_rejected(store.rejected),
        *_left_out(report.left_out),
        *_copies(report, len(store), places),
        _sizes(report.shapes, len(store)),
        *_colours(report),
        *_warnings(report, report.shapes, len(store)),
        *folder_lines(store.names, report.masks, config),
    ]


def summary_document(store: PackedStore) -> dict[str, Any]:
    """The same for a job's JSON document."""
    reasons = {reason: {"files": count, "example": name} for reason, (count, name) in _reasons(store.rejected).items()}
    return {"packing": store.packing_report, "rejected_reasons": reasons}


def survey_lines(names: list[str], left_out: dict[str, int], config: DataConfig) -> list[str]:
    """The lines about files that are not packed yet."""
    if config.source in {"mnist", "drawn_faces"}:
        return []
    found = f"Files: {len(names):,} found{_folders(folder_counts(names))}"
    return [found, *_left_out(left_out), *folder_lines(names, mask_folders(names), config)]


def folder_lines(names: list[str], masks: dict[str, int], config: DataConfig) -> list[str]:
    """What the names of folders say: parts of a data set that could be held out, and masks (see `mask_folders`)."""
    if config.source in {"mnist", "drawn_faces"}:
        return []
    lines = []
    if config.held_out != "folders" and (splits := split_folders(names)):
        lines.append(
            f"Held out: by content, also of the folders {_shown(splits)}; data.held_out=folders holds out these folders"
        )
    if masks:
        lines.append(f"Warning: files in folders named like masks are taken as images: {_shown(masks)}")
    elif pair := paired_folders(names):
        one, other, count = pair
        lines.append(
            f"Warning: {one!r} and {other!r} have {count:,} files of the same names, as pictures and their masks have"
        )
    return lines


def _folders(counts: dict[str, int]) -> str:
    return f" ({_shown(counts)})" if len(counts) > 1 else ""


def _shown(counts: dict[str, int]) -> str:
    largest = sorted(counts.items(), key=lambda pair: -pair[1])
    shown = [f"{name or 'at the top'} {count:,}" for name, count in largest[:_MOST_FOLDERS]]
    more = len(largest) - _MOST_FOLDERS
    return ", ".join([*shown, f"{more:,} more folders"] if more > 0 else shown)


def _reasons(rejected: list[tuple[str, str]]) -> dict[str, tuple[int, str]]:
    """Reason -> number of files and the first of them."""
    counts = Counter(reason.partition(":")[0] for _, reason in rejected)
    first = {reason.partition(":")[0]: name for name, reason in reversed(rejected)}
    return {reason: (count, first[reason]) for reason, count in counts.most_common()}


def _rejected(rejected: list[tuple[str, str]]) -> Iterator[str]:
    reasons = list(_reasons(rejected).items())
    shown = [f"{count:,} {reason} ({name!r})" for reason, (count, name) in reasons[:_MOST_REASONS]]
    more = [f"and {len(reasons) - _MOST_REASONS} more reasons"] if len(reasons) > _MOST_REASONS else []
    if rejected:
        yield f"Rejected: {', '.join([*shown, *more])}"


def _left_out(left_out: dict[str, int]) -> Iterator[str]:
    if left_out:
        yield f"Left out: {', '.join(f'{count:,} {reason}' for reason, count in sorted(left_out.items()))}"


def _copies(report: PackingReport, images: int, place: str) -> Iterator[str]:
    if report.copies:
        files = "1 file is a copy of another" if report.copies == 1 else f"{report.copies:,} files are copies of others"
        yield f"Copies: {files} and taken once ({place}); data.copies=keep takes each"
    if report.copies_differ:
        first, second, label = report.example
        yield (
            f"Warning: copies of {report.copies_differ:,} images have other labels, and the first by name counts: "
            f"{label!r} differs for {first!r} and {second!r}"
        )
    if report.near_copies:
        groups = "1 group" if report.near_groups == 1 else f"{report.near_groups:,} groups"
        yield (
            f"Near-copies: {report.near_copies:,} images in {groups} look alike ({place}); "
            "they are kept, each group in training or held out as a whole"
        )
    if report.near_skipped:
        yield f"Near-copies: none is marked, {report.near_skipped}; exact copies are found"
    if report.near_alike:
        yield (
            f"Near-copies: {report.near_alike:,} of {images:,} images look alike; so many are taken for pictures of "
            "one kind, and not for copies"
        )


def _sizes(shapes: Shapes, images: int) -> str:
    smallest, median, largest = (
        f"{width}x{height}" for width, height in (shapes.smallest, shapes.median, shapes.largest)
    )
    sizes = smallest if smallest == largest else f"{smallest} to {largest}, median {median}"
    if not shapes.not_square:
        return f"Sizes: {sizes}"
    ends = ((shapes.twice_as_high, "high as wide"), (shapes.twice_as_wide, "wide as high"))
    twice = [f"{count:,} of them at least twice as {what}" for count, what in ends if count]
    cropped = f"the centre square was taken of {shapes.not_square:,} of {images:,}"
    return f"Sizes: {sizes}; {', '.join([cropped, *twice])}"


def _colours(report: PackingReport) -> Iterator[str]:
    parts = [
        (report.profiles, "converted from an embedded profile to sRGB"),
        (report.broken_profiles, "with a profile that cannot be used"),
        (report.on_black, "nearly white on a transparent ground, put on black"),
    ]
    shown = [f"{count:,} {what}" for count, what in parts if count]
    if shown:
        yield f"Colours: {'; '.join(shown)}"
    yield from map(_values, report.scaled)


def _values(scaled: Scaled) -> str:
    kind = "whole numbers of more than 8 bits" if scaled.whole else "floats"
    return (
        f"Values: {kind} from {scaled.least:g} to {scaled.most:g} (images: {scaled.images:,}); "
        f"{scaled.black:g} is black and {scaled.white:g} white in all of them"
    )


def _warnings(report: PackingReport, shapes: Shapes, images: int) -> Iterator[str]:
    for count, what, lost in (
        (shapes.twice_as_high, "high as wide", "top and bottom"),
        (shapes.twice_as_wide, "wide as high", "left and right"),
    ):
        if 2 * count > images:
            yield f"Warning: most images are twice as {what}; what is at the {lost} is cropped away"
    if report.one_colour:
        shown = "1 image shows" if report.one_colour == 1 else f"{report.one_colour:,} images show"
        yield f"Warning: {shown} one colour, such as {report.one_colour_example!r}"
    if 2 * report.dark > images:
        yield f"Warning: {report.dark:,} of {images:,} images are nearly black"
