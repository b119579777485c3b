"""Makes golden archives: `python -m tests.data.make_golden duplicity-3.2.1 COMMAND [NAME…]`, as root.

The first word names the producer's folder, COMMAND is the program to run. Archives that exist are never made again:
they are kept as they were written. README.md beside this file says what each is for.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.chain import time_of
from tests.support.gnupg import SYMMETRIC_PASSPHRASE, GnupgHome, gnupg_home, secret_key
from tests.support.golden import ARCHIVES, TREES, About, load_states, save_states
from tests.support.golden_rewrites import to_gnu_dialect, to_rabin_karp_signatures
from tests.support.golden_tree import STEPS, GoldenTree, build_step
from tests.support.interruption import kill_after_volumes
from tests.support.programs import Program, Workspace
from tests.support.tree import Snapshot, snapshot

PREFIXES = ("--file-prefix", "all.", "--file-prefix-manifest", "m-", "--file-prefix-archive", "v-",
            "--file-prefix-signature", "s-")  # fmt: skip
GZIP = ("--no-encryption",)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one archive is made. `keys`: recipients and signer are the throw-away key."""

    name: str
    note: str
    options: tuple[str, ...] = ()
    read_options: tuple[str, ...] = ()
    later_options: tuple[str, ...] | None = None
    tree: GoldenTree = GoldenTree.SMALL
    encrypt_option: str = ""
    signs: bool = False
    unfinished: bool = False
    resumed: bool = False
    rewrite: Callable[[Path, list[Path]], None] | None = None
    only: tuple[str, ...] = ()


RECIPES = (
    Recipe("symmetric", "Encrypted with a passphrase"),
    Recipe("signed", "Encrypted to a key and signed by it", encrypt_option="--encrypt-key", signs=True),
    Recipe("hidden-key", "Encrypted to a hidden recipient", encrypt_option="--hidden-encrypt-key",
           only=("duplicity-3.2.1", "twofold")),
    Recipe("gzip", "Not encrypted", GZIP, GZIP),
    Recipe("plain", "Neither encrypted nor compressed", (*GZIP, "--no-compression"), GZIP,
           only=("duplicity-3.2.1", "twofold")),
    Recipe("prefixes", "A prefix for all files and one a kind", (*GZIP, *PREFIXES), (*GZIP, *PREFIXES),
           only=("duplicity-3.2.1", "twofold")),
    Recipe("single-file", "The source is one file", GZIP, GZIP, tree=GoldenTree.SINGLE),
    Recipe("mixed", "The full set is encrypted, later ones are not", later_options=GZIP, only=("duplicity-3.2.1",)),
    Recipe("volumes", "A file straddles volumes of 1 MiB", (*GZIP, "--volsize", "1"), GZIP, tree=GoldenTree.VOLUMES,
           only=("twofold",)),
    Recipe("jsonstat", "With files of statistics", (*GZIP, "--jsonstat"), GZIP, only=("duplicity-3.2.1", "twofold")),
    Recipe("no-file-list", "Manifests without Filelist", (*GZIP, "--no-files-changed"), GZIP,
           only=("duplicity-3.2.1",)),
    Recipe("short-names", "Names in base 36", (*GZIP, "--short-filenames"), GZIP, only=("duplicity-0.8.22",)),
    Recipe("old-times", "Names with times of the 0.5 series", (*GZIP, "--old-filenames"), GZIP,
           only=("duplicity-0.8.22",)),
    Recipe("old-times-separator", "The same with another separator",
           (*GZIP, "--old-filenames", "--time-separator", "_"), (*GZIP, "--time-separator", "_"),
           only=("duplicity-0.8.22",)),
    Recipe("gnu-tar", "Volumes and signatures rewritten in GNU tar's dialect, as Python 2 wrote them", GZIP, GZIP,
           rewrite=to_gnu_dialect, only=("duplicity-0.8.22",)),
    Recipe("rabin-karp", "Signatures replaced by RabinKarp and BLAKE2 ones", GZIP, GZIP,
           rewrite=to_rabin_karp_signatures, only=("duplicity-3.2.1",)),
    Recipe("interrupted", "Killed in the incremental's third volume; the archive dir is kept",
           (*GZIP, "--no-compression", "--volsize", "1"), GZIP, tree=GoldenTree.LATE_VOLUMES, unfinished=True,
           only=("duplicity-3.2.1", "twofold")),
    Recipe("resumed", "Killed in the incremental's third volume and then resumed: the manifest lists volumes twice",
           (*GZIP, "--no-compression", "--volsize", "1"), GZIP, tree=GoldenTree.LATE_VOLUMES, resumed=True,
           only=("duplicity-0.8.22",)),
)  # fmt: skip


@dataclass
class Kitchen:
    """One archive in the making."""

    recipe: Recipe
    program: Program
    home: GnupgHome
    workspace: Workspace

    @property
    def options(self) -> tuple[str, ...]:
        recipe, key = self.recipe, self.home.bare.fingerprint
        encrypt = (recipe.encrypt_option, key) if recipe.encrypt_option else ()
        return (*recipe.options, *encrypt, *(("--sign-key", key) if recipe.signs else ()))

    @property
    def source(self) -> bytes:
        return self.workspace.path("source")

    def step_options(self, step: int) -> tuple[str, ...]:
        later = self.recipe.later_options
        return later if later is not None and step > 0 else self.options

    def arguments(self, step: int) -> tuple[str, ...]:
        action = "full" if step == 0 else "incremental"
        return (action, *self.step_options(step), "--current-time", str(time_of(step)), "source", self.workspace.url())

    def back_up(self, step: int) -> None:
        self.workspace.run(self.program, *self.arguments(step), cwd=self.workspace.folder).expect()

    def interrupt(self, step: int) -> None:
        """Kills the program when two volumes of the set are complete and the third is on its way."""
        kill_after_volumes(self.workspace, self.program, *self.arguments(step), cwd=self.workspace.folder)
        for leftover in Path(os.fsdecode(self.workspace.archive_dir)).rglob("duplicity-*-tempdir"):
            shutil.rmtree(leftover)


def make(recipe: Recipe, producer: str, command: str) -> None:
    folder = ARCHIVES / producer / recipe.name
    if folder.exists():
        print(f"{folder} is kept")
        return
    with gnupg_home() as home, tempfile.TemporaryDirectory(prefix="golden-") as scratch:
        workspace = Workspace.below(os.fsencode(scratch), gnupg_home=home.path)
        encrypted = "--no-encryption" not in recipe.options
        passphrase = ("" if recipe.encrypt_option else SYMMETRIC_PASSPHRASE) if encrypted else None
        kitchen = Kitchen(recipe, Program(producer, _absolute(command)), home,
                          workspace.with_passphrase(passphrase))  # fmt: skip
        times = _cook(kitchen, ARCHIVES / producer)
        _serve(kitchen, folder, times, passphrase)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {size} bytes")


def _cook(kitchen: Kitchen, producer_folder: Path) -> tuple[int, ...]:
    """Makes the sets; checks that the tree is the one already recorded for this producer. Returns the times."""
    recipe = kitchen.recipe
    states: list[Snapshot] = []
    copies: list[Path] = []
    last = 2 if recipe.unfinished or recipe.resumed else STEPS
    for step in range(last):
        build_step(recipe.tree, kitchen.source, step)
        states.append(snapshot(kitchen.source))
        copies.append(_copy(kitchen, step))
        if step == 1 and (recipe.unfinished or recipe.resumed):
            kitchen.interrupt(step)
        if step == 0 or not recipe.unfinished:
            kitchen.back_up(step)
    target = Path(os.fsdecode(kitchen.workspace.path("target")))
    if recipe.rewrite is not None:
        recipe.rewrite(target, copies)
    _record_states(producer_folder / TREES / f"{recipe.tree.value}.json", states)
    return tuple(time_of(step) for step in range(1 if recipe.unfinished else last))


def _serve(kitchen: Kitchen, folder: Path, times: tuple[int, ...], passphrase: str | None) -> None:
    recipe, workspace = kitchen.recipe, kitchen.workspace
    folder.mkdir(parents=True)
    shutil.copytree(os.fsdecode(workspace.path("target")), folder / "target")
    if recipe.unfinished:
        cache = next(Path(os.fsdecode(workspace.archive_dir)).iterdir())
        shutil.copytree(cache, folder / "archive" / "golden", ignore=shutil.ignore_patterns("lockfile*"))
        with tarfile.open(folder / "source.tar.xz", "w:xz", format=tarfile.PAX_FORMAT) as tar:
            tar.add(os.fsdecode(kitchen.source), arcname="source")
    if recipe.encrypt_option:
        (folder / "secret-key.asc").write_bytes(secret_key(kitchen.home.path, kitchen.home.bare))
    About(
        made_by=_version(kitchen.program),
        note=recipe.note,
        tree=recipe.tree.value,
        times=times,
        options=recipe.read_options,
        passphrase=passphrase,
        secret_key="secret-key.asc" if recipe.encrypt_option else None,
        sign_key=kitchen.home.bare.fingerprint if recipe.signs else None,
        unfinished=recipe.unfinished,
    ).save(folder)


def _copy(kitchen: Kitchen, step: int) -> Path:
    copy = os.fsdecode(kitchen.workspace.path(f"copy-{step}"))
    subprocess.run(["cp", "-a", os.fsdecode(kitchen.source), copy], check=True)
    return Path(copy)


def _record_states(path: Path, states: list[Snapshot]) -> None:
    if path.exists():
        kept = load_states(path)
        assert kept[: len(states)] == states[: len(kept)], f"{path} describes another tree"
        if len(kept) >= len(states):
            return
    path.parent.mkdir(parents=True, exist_ok=True)
    save_states(path, states)


def _absolute(command: str) -> tuple[str, ...]:
    """The command with its program found now: it will run in another folder."""
    program, *words = shlex.split(command)
    found = shutil.which(program)
    if found is None:
        raise SystemExit(f"{program} is not a program")
    return (os.path.abspath(found), *words)


def _version(program: Program) -> str:
    said = [subprocess.run([*command, "--version"], check=True, capture_output=True, text=True).stdout.split()
            for command in (program.command, ("gpg",))]  # fmt: skip
    return f"{' '.join(said[0][:2])} with GnuPG {said[1][2]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("producer", help="folder below tests/data/archives, for instance duplicity-3.2.1")
    parser.add_argument("command", help="program to run")
    parser.add_argument("names", nargs="*", help="archives to make; all that this producer can make if none is given")
    chosen = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("golden archives hold devices and other people's files: run this as root")
    for recipe in RECIPES:
        can = not recipe.only or any(chosen.producer.startswith(name) for name in recipe.only)
        if can and (not chosen.names or recipe.name in chosen.names):
            make(recipe, chosen.producer, chosen.command)


if __name__ == "__main__":
    main()
