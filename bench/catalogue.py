"""The data sets there are, and those that cost grows over."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator

from bench.content import PAGE
from bench.data_sets import TREE_STEPS, DataSet, File, Image, Kind, Nothing, Operation, Step, Tree

_WORD_LIST = """
    api base build cache client codec command common config core data device driver engine event filter format
    graph handler index input kernel layout library loader locale main manager memory menu model network node
    object output page parser path plugin process protocol query queue reader render report request route schema
    server service session shell signal socket source state storage stream string table target task template test
    thread token tools tree types update user utils value vector view widget window worker writer
"""
_WORDS = _WORD_LIST.split()
_ENDINGS = (".c", ".c", ".c", ".h", ".h", ".py", ".py", ".js", ".rs", ".go", ".txt", ".md", ".json", ".xml")
_PROJECT_FILES = 1700
_FILE_BLOCK = 5120
"""What even a tiny file takes of the disk, inode included."""

IMAGE_STEPS = (
    Step(Operation.FULL),
    *(Step(Operation.UNCHANGED),) * 2,
    Step(Operation.CHANGE, 1),
    Step(Operation.RESTORE),
    Step(Operation.VERIFY),
)
START_REPEATS = 5
CHANGED_PAGES = 1300


def source_files(count: int, *, seed: int) -> Iterator[File]:
    """Projects of nested folders, files of log-normal size: 17 KB on average, the median at 7 KB."""
    for project in range(-(-count // _PROJECT_FILES)):
        first = project * _PROJECT_FILES
        yield from _project(f"project{project:02d}", range(first, min(first + _PROJECT_FILES, count)), seed=seed)


def _project(name: str, numbers: range, *, seed: int) -> Iterator[File]:
    chance = random.Random(f"sources {seed} {numbers.start}")
    folders = [name]
    for number in numbers:
        if chance.random() < 1 / 9:
            parent = chance.choice(folders)
            if parent.count("/") < 8:
                folders.append(f"{parent}/{chance.choice(_WORDS)}{len(folders)}")
        size = min(int(chance.lognormvariate(8.9, 1.33)), 3_000_000)
        path = f"{chance.choice(folders)}/{chance.choice(_WORDS)}_{chance.choice(_WORDS)}{number}"
        yield File(path + chance.choice(_ENDINGS), size, Kind.TEXT, seed * 10_000_000 + number)


def home_files(scale: float) -> Iterator[File]:
    """A home folder: settings, documents, mail, and photographs and films that are about half of all bytes."""
    chance = random.Random("home")
    seed = 20_000_000
    for number in range(_count(4000, scale)):
        size = int(chance.lognormvariate(7.6, 1.2))
        path = f".config/{_WORDS[number % len(_WORDS)]}/{chance.choice(_WORDS)}/settings{number}.conf"
        yield File(path, min(size, 200_000), Kind.TEXT, seed + number)
    for number in range(_count(1000, scale)):
        size = min(int(chance.lognormvariate(11.8, 1.1)), 6_000_000)
        path = f"Documents/{chance.choice(_WORDS)}/{chance.choice(_WORDS)} {number}.odt"
        yield File(path, size, Kind.MIXED, seed + 100_000 + number)
    for number in range(_count(24, scale)):
        size = chance.randrange(1_000_000, 9_000_000)
        yield File(f"Mail/archive/{2000 + number}.mbox", size, Kind.TEXT, seed + 200_000 + number)
    for number in range(_count(72, scale)):
        size = chance.randrange(1_000_000, 8_000_000)
        path = f"Pictures/{2010 + number % 14}/IMG_{number:04d}.jpg"
        yield File(path, size, Kind.RANDOM, seed + 300_000 + number)


def tiny_files(count: int) -> Iterator[File]:
    """Files of up to 1,500 bytes, a hundred to a folder."""
    chance = random.Random("tiny")
    for number in range(count):
        path = f"{number // 10_000:03d}/{number // 100 % 100:02d}/item{number:07d}.dat"
        yield File(path, chance.randrange(1501), Kind.CUT, 30_000_000 + number)


def _count(number: int, scale: float) -> int:
    return max(1, round(number * scale))


def chain_steps(increments: int) -> tuple[Step, ...]:
    """A full backup, so many increments, and then what reads the whole chain."""
    quick = (Operation.STATUS, Operation.LIST, Operation.RESTORE_ONE) * 3
    slow = (Operation.RESTORE, Operation.VERIFY, Operation.UNCHANGED)
    changes = tuple(Step(Operation.CHANGE, number) for number in range(1, increments + 1))
    return (Step(Operation.FULL), *changes, *map(Step, quick + slow))


def sources(scale: float) -> Tree:
    count = _count(20_000, scale)
    about = f"{count:,} source-like text files in deep folders"
    return Tree("sources", about, functools.partial(source_files, count, seed=1), int(count * 20_000))


def home(scale: float) -> Tree:
    about = "A home folder: pictures and films, documents, mail, settings; half of it incompressible"
    return Tree("home", about, functools.partial(home_files, scale), int(900_000_000 * scale))


def tiny(count: int, *, name: str = "tiny", steps: tuple[Step, ...] = TREE_STEPS) -> Tree:
    about = f"{count:,} files of 0 to 1,500 bytes"
    return Tree(name, about, functools.partial(tiny_files, count), count * _FILE_BLOCK, steps)


def chain(count: int, increments: int, *, name: str = "chains") -> Tree:
    about = f"{count:,} source-like text files with {increments} incremental backups, 1 % changed before each"
    files = functools.partial(source_files, count, seed=4)
    return Tree(name, about, files, count * 20_000, chain_steps(increments))


def image(name: str, size: int, scale: float, steps: tuple[Step, ...], rounds: int | None = None) -> Image:
    """`size` bytes and 1,300 changed pages, both times the scale."""
    pages = _count(CHANGED_PAGES, scale)
    size = max(int(size * scale) // PAGE, 4 * pages) * PAGE
    about = f"One disk image of {size / 2**30:.3g} GiB: zeros, text, random; {pages:,} pages of 4 KiB rewritten"
    return Image(name, about, size, pages, steps, rounds)


def start_up() -> Nothing:
    return Nothing("start", "`--version`, beside a bare interpreter", (Step(Operation.VERSION),) * START_REPEATS)


def compared(scale: float) -> list[DataSet]:
    """What the programs are set beside each other on. 1 GiB is for its bytes: it is backed up and changed once."""
    bytes_only = (Step(Operation.FULL), Step(Operation.CHANGE, 1))
    return [
        start_up(),
        sources(scale),
        home(scale),
        image("image", 2 << 30, scale, IMAGE_STEPS),
        image("image1", 1 << 30, scale, bytes_only, rounds=1),
        tiny(_count(200_000, scale)),
        chain(_count(2000, scale), 10),
    ]


def growing(scale: float) -> list[DataSet]:
    """How cost grows: over files, over increments in a chain, over the size of one file."""
    files = [tiny(_count(count, scale), name=f"files-{count}") for count in (10_000, 100_000, 1_000_000)]
    chains = [chain(_count(2000, scale), count, name=f"chain-{count}") for count in (1, 10, 100)]
    images = [image(f"image-{size}g", size << 30, scale, IMAGE_STEPS) for size in (1, 4)]
    return [*files, *chains, *images]
