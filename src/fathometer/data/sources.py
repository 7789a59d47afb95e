"""Files of text, read in place: a user's own, or Python's own sources."""

import hashlib
import os
import platform
import sysconfig
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from fathometer.errors import DataError
from fathometer.files import expanded, is_file, is_folder

STANDARD_LIBRARY_BYTES = 16_000_000  # whole files in the order of their names, up to here
_NOT_LIBRARY = {"site-packages", "dist-packages", "__pycache__", "test", "tests", "idle_test"}
_OF_THIS_BUILD = "_sysconfigdata"  # says how this Python was compiled, so it differs between machines


@dataclass(frozen=True)
class Source:
    """One file: its name inside the folder, and its bytes."""

    name: str
    content: bytes


def read_sources(path: str | Path | None = None) -> tuple[str, tuple[Source, ...]]:
    """Return what was read, in a few words, and its files in the order of their names.

    A file is read alone, a folder with all its sub-folders (what begins with a dot is left out), None is the standard
    library of the running Python without its tests. Raises `DataError` for what is not there, is empty or cannot be read.
    """
    if path is None:
        return f"the standard library of Python {platform.python_version()}", _standard_library()
    path = expanded(path)
    if is_file(path):
        sources = (_read(path, path.name),)
    elif is_folder(path):
        sources = tuple(_read(file, name) for name, file in sorted(_files_under(path)))
    else:
        raise DataError(f'There is no file or folder "{path}"', "Text is read from either", "Check the path")
    if not any(source.content for source in sources):
        what = "no file" if not sources else "no text"
        raise DataError(f'"{path}" holds {what}', "There must be at least one file that is not empty", "Check the path")
    return path.name, sources


def hold_out(sources: Sequence[Source], share: float) -> tuple[list[Source], list[Source]]:
    """Return the files to train on and the files held out, about `share` of all bytes.

    The hash of a file's name decides, so that a new file moves few others. Where whole files cannot give between half
    and twice the share (a single file, for one), the last `share` of every file is held out.
    """
    total = sum(len(source.content) for source in sources)
    held, size = set[str](), 0
    for source in sorted(sources, key=lambda source: hashlib.sha256(source.name.encode()).digest()):
        if size < share * total and size + len(source.content) <= 2 * share * total:
            held.add(source.name)
            size += len(source.content)
    if size < share * total / 2:
        cuts = [_between_characters(source.content, round(len(source.content) * (1 - share))) for source in sources]
        heads = [Source(source.name, source.content[:cut]) for source, cut in zip(sources, cuts, strict=True)]
        return heads, [Source(source.name, source.content[cut:]) for source, cut in zip(sources, cuts, strict=True)]
    return [source for source in sources if source.name not in held], [source for source in sources if source.name in held]


def _between_characters(content: bytes, at: int) -> int:
    """Return the next place that is not inside a UTF-8 character, which has at most three bytes of continuation."""
    for _ in range(3):
        if content[at : at + 1] and 0x80 <= content[at] < 0xC0:
            at += 1
    return at


def _standard_library() -> tuple[Source, ...]:
    folder = Path(sysconfig.get_path("stdlib"))
    found, size = list[Source](), 0
    for name, file in sorted(_files_under(folder, leave_out=_NOT_LIBRARY)):
        if not name.endswith(".py") or file.name.startswith(_OF_THIS_BUILD):
            continue
        size += file.stat().st_size
        if size > STANDARD_LIBRARY_BYTES:
            break
        found.append(_read(file, name))
    if not found:
        raise DataError(
            "This Python has no sources beside it", "The default text is its standard library", "Name a file or folder: path="
        )
    return tuple(found)


def _files_under(folder: Path, leave_out: Set[str] = frozenset()) -> Iterator[tuple[str, Path]]:
    """Yield each file with its name inside the folder, written alike on every system."""
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in leave_out and not name.startswith(".")]
        for name in files:
            if not name.startswith("."):
                file = Path(here, name)
                yield file.relative_to(folder).as_posix(), file


def _read(file: Path, name: str) -> Source:
    try:
        return Source(name, file.read_bytes())
    except OSError as problem:
        raise DataError(f'"{file}" cannot be read: {problem.strerror}', "Each file is read whole", "Mend or move it") from None
