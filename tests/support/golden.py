"""Golden archives: what a real program wrote once, with a record of what must come out. See tests/data/README.md."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from tests.support.programs import REPOSITORY_ROOT
from tests.support.tree import Fidelity, Kind, NodeState, Snapshot, from_json, to_json

ARCHIVES = REPOSITORY_ROOT / "tests" / "data" / "archives"
TREES = "trees"


@dataclass(frozen=True, slots=True)
class About:
    """The contents of about.json; `times` are those of the finished sets, `options` what reading needs.

    `passphrase` None: none is set. `secret_key` names a file in the folder. `unfinished` says that the newest set
    was interrupted: then an archive dir lies beside the target and `source.tar.xz` has the source of that run.
    """

    made_by: str
    note: str
    tree: str
    times: tuple[int, ...]
    options: tuple[str, ...] = ()
    passphrase: str | None = None
    secret_key: str | None = None
    sign_key: str | None = None
    unfinished: bool = False

    def save(self, folder: Path) -> None:
        text = json.dumps(asdict(self), indent=2, ensure_ascii=True)
        (folder / "about.json").write_text(text + "\n", encoding="ascii")

    @classmethod
    def load(cls, folder: Path) -> About:
        plain = json.loads((folder / "about.json").read_text(encoding="ascii"))
        assert plain.keys() == {field.name for field in fields(cls)}, folder
        return cls(**{**plain, "times": tuple(plain["times"]), "options": tuple(plain["options"])})


@dataclass(frozen=True, slots=True)
class Golden:
    """One kept archive."""

    folder: Path
    about: About

    def __str__(self) -> str:
        return f"{self.folder.parent.name}/{self.folder.name}"

    @property
    def fidelity(self) -> Fidelity:
        return Fidelity.FULL if self.folder.parent.name.startswith("twofold-") else Fidelity.DUPLICITY

    def states(self) -> list[Snapshot]:
        """What each finished set must restore to."""
        everything = load_states(self.folder.parent / TREES / f"{self.about.tree}.json")
        return everything[: len(self.about.times)]

    def copy_into(self, folder: bytes) -> None:
        """A copy of the target, and of the archive dir if there is one, that may be changed."""
        for name in ("target", "archive"):
            if (self.folder / name).exists():
                shutil.copytree(self.folder / name, os.path.join(os.fsdecode(folder), name))


def all_goldens() -> list[Golden]:
    return [Golden(path.parent, About.load(path.parent)) for path in sorted(ARCHIVES.glob("*/*/about.json"))]


def load_states(path: Path) -> list[Snapshot]:
    return [from_json(plain) for plain in json.loads(path.read_text(encoding="ascii"))]


def save_states(path: Path, states: list[Snapshot]) -> None:
    """One line a name, so that a change of the record shows up as lines."""
    steps = []
    for state in states:
        records = [f"{json.dumps(name)}: {json.dumps(record)}" for name, record in to_json(state).items()]
        steps.append("{\n" + ",\n".join(records) + "\n}")
    path.write_text("[\n" + ",\n".join(steps) + "\n]\n", encoding="ascii")


def as_restored_by(state: Snapshot, *, user: int, group: int) -> Snapshot:
    """The same for someone who is not root: their own files, and no devices."""
    if user == 0:
        return state
    devices = (Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE)
    return {name: _owned_by(node, user, group) for name, node in state.items() if node.kind not in devices}


def _owned_by(node: NodeState, user: int, group: int) -> NodeState:
    return replace(node, uid=user, gid=group)
