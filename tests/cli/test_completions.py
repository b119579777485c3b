"""The completions in the real shells: what is suggested where, and that nothing breaks on the way."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.programs import REPOSITORY_ROOT
from tests.support.tools import require_tool
from twofold.storage.registry import SCHEMES

COMPLETIONS = REPOSITORY_ROOT / "completions"
HERE = Path(__file__).parent
SECONDS = 30
ACTIONS = {
    "backup",
    "full",
    "incremental",
    "restore",
    "verify",
    "list-current-files",
    "collection-status",
    "cleanup",
    "remove-older-than",
    "remove-all-but-n-full",
    "remove-all-inc-of-but-n-full",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A place with two directories and a file, that the shells start in."""
    place = tmp_path / "here"
    for name in ("photos", "plans"):
        (place / name).mkdir(parents=True)
    (place / "prose.txt").write_bytes(b"")
    return place


@dataclass(frozen=True, slots=True)
class Suggested:
    """The answers of one shell by the line before the cursor."""

    answers: dict[str, list[str]]

    def __getitem__(self, line: str) -> list[str]:
        return self.answers[line]

    @classmethod
    def of(cls, output: str) -> Suggested:
        """Reads what the scripts print."""
        answers: dict[str, list[str]] = {}
        for line in output.splitlines():
            if line.startswith("== "):
                found = answers.setdefault(line[3:], [])
            else:
                found.append(line)
        return cls(answers)


def _run(command: list[str], folder: Path, text: str = "") -> str:
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), "LC_ALL": "C.UTF-8", "TERM": "dumb"}
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, check=False, timeout=SECONDS, cwd=folder, env=variables
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def _bash(folder: Path, lines: list[str]) -> Suggested:
    command = [require_tool("bash"), str(HERE / "capture_completions.bash"), str(COMPLETIONS / "twofold.bash")]
    return Suggested.of(_run(command, folder, "".join(f"{line}\n" for line in lines)))


def _zsh(folder: Path, lines: list[str]) -> Suggested:
    command = [require_tool("zsh"), "-f", str(HERE / "capture_completions.zsh"), str(COMPLETIONS)]
    return Suggested.of(_run([*command, str(folder.parent / "captured"), *lines], folder))


def _fish(folder: Path, lines: list[str]) -> Suggested:
    script = 'source $argv[1]; for line in $argv[2..-1]; printf "== %s\\n" $line; complete -C $line; end'
    command = [require_tool("fish"), "--no-config", "-c", script, str(COMPLETIONS / "twofold.fish"), *lines]
    answers = Suggested.of(_run(command, folder)).answers
    return Suggested({line: [answer.partition("\t")[0] for answer in found] for line, found in answers.items()})


Shell = Callable[[Path, list[str]], Suggested]
SHELLS = pytest.mark.parametrize("shell", [_bash, _zsh, _fish], ids=["bash", "zsh", "fish"])


def _stripped(found: list[str]) -> set[str]:
    return {answer.rstrip(" ") for answer in found}


@SHELLS
def test_actions_come_first(shell: Shell, folder: Path) -> None:
    found = shell(folder, ["twofold ", "twofold verif", "twofold --dry-run inc", "twofold -v 5 inc"])
    assert _stripped(found["twofold "]) >= ACTIONS
    assert _stripped(found["twofold verif"]) == {"verify"}
    assert _stripped(found["twofold --dry-run inc"]) == {"incremental"}
    assert _stripped(found["twofold -v 5 inc"]) == {"incremental"}


@SHELLS
def test_options_are_those_of_the_action(shell: Shell, folder: Path) -> None:
    found = shell(folder, ["twofold full --vols", "twofold ls --vols", "twofold cleanup --forc", "twofold --skip-i"])
    assert _stripped(found["twofold full --vols"]) == {"--volsize"}
    assert _stripped(found["twofold ls --vols"]) == set()
    assert _stripped(found["twofold cleanup --forc"]) == {"--force"}
    assert _stripped(found["twofold --skip-i"]) == {"--skip-if-no-change"}


@SHELLS
def test_values_among_which_to_choose_are_suggested(shell: Shell, folder: Path) -> None:
    lines = ["twofold full --metadata-sync-mode ", "twofold full --metadata-sync-mode=pa", "twofold ls -v in"]
    found = shell(folder, lines)
    assert _stripped(found[lines[0]]) == {"full", "partial"}
    assert {answer.removeprefix("--metadata-sync-mode=") for answer in _stripped(found[lines[1]])} == {"partial"}
    assert _stripped(found[lines[2]]) == {"info"}


@SHELLS
def test_targets_are_suggested_where_a_target_is_wanted(shell: Shell, folder: Path) -> None:
    lines = ["twofold full photos ", "twofold ro 3D ", "twofold photos ", "twofold ls --name x "]
    found = shell(folder, [*lines, "twofold ls fil"])
    targets = {f"{scheme.name}://" for scheme in SCHEMES.values() if scheme.driver}
    assert {line: _stripped(found[line]) for line in lines} == dict.fromkeys(lines, targets)
    assert _stripped(found["twofold ls fil"]) == {"file://"}


@SHELLS
def test_nothing_is_suggested_for_what_only_a_person_knows(shell: Shell, folder: Path) -> None:
    lines = ["twofold ro ", "twofold full --volsize ", "twofold rb --rename a "]
    found = shell(folder, lines)
    assert {line: found[line] for line in lines} == {line: [] for line in lines}


@SHELLS
def test_directories_of_local_targets_are_suggested(shell: Shell, folder: Path) -> None:
    relative, absolute = "twofold ls file://ph", f"twofold ls file://{folder}/pl"
    found = shell(folder, [relative, absolute])
    assert [answer.rstrip("/").rpartition("/")[2] for answer in found[relative]] == ["photos"]
    assert [answer.rstrip("/").rpartition("/")[2] for answer in found[absolute]] == ["plans"]


@pytest.mark.parametrize("shell", [_zsh, _fish], ids=["zsh", "fish"])
def test_files_are_suggested_where_files_are_wanted(shell: Shell, folder: Path) -> None:
    files = [
        "twofold full p",
        "twofold rb file:///x p",
        "twofold full --exclude p",
        "twofold rb --rename a b file:///x p",
    ]
    folders = ["twofold full --tempdir p", "twofold full --archive-dir p"]
    found = shell(folder, [*files, *folders])
    assert {line: {answer.rstrip("/") for answer in found[line]} for line in (*files, *folders)} == {
        **{line: {"photos", "plans", "prose.txt"} for line in files},
        **{line: {"photos", "plans"} for line in folders},
    }


def test_bash_leaves_files_to_readline(folder: Path) -> None:
    files = [
        "twofold full p",
        "twofold rb file:///x p",
        "twofold full --exclude p",
        "twofold rb --rename a b file:///x p",
    ]
    folders = ["twofold full --tempdir p", "twofold full --archive-dir=p"]
    found = _bash(folder, [*files, *folders])
    assert {line: found[line] for line in (*files, *folders)} == {
        **{line: ["files"] for line in files},
        **{line: ["folders"] for line in folders},
    }


@SHELLS
def test_two_dashes_end_the_options(shell: Shell, folder: Path) -> None:
    assert [
        answer for answer in shell(folder, ["twofold full -- --vo"])["twofold full -- --vo"] if "--" in answer
    ] == []


class BashOnTerminal:
    """An interactive bash in which twofold is a function that shows its arguments."""

    def __init__(self, folder: Path) -> None:
        variables = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8", "TERM": "dumb"}
        variables["INPUTRC"] = os.devnull
        self._terminal, other_end = pty.openpty()
        command = [require_tool("bash"), "--norc", "--noprofile", "-i"]
        self._process = subprocess.Popen(
            command,
            stdin=other_end,
            stdout=other_end,
            stderr=other_end,
            cwd=folder,
            env=variables,
            start_new_session=True,
        )
        os.close(other_end)
        self.type(f"PS1=; unset HISTFILE; source {COMPLETIONS / 'twofold.bash'}\n")
        self.type("twofold() { printf '[%s]' \"$@\"; echo END-$((6 * 7)); }\n")

    def type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def arguments_of(self, keys: str) -> list[str]:
        """What the program gets when these keys are pressed; a tab completes."""
        self.type(f"{keys}\n")
        output = ""
        while "END-42" not in output:
            ready, _, _ = select.select([self._terminal], [], [], SECONDS)
            assert ready, output
            output += os.read(self._terminal, 4096).decode()
        return re.findall(r"\[([^]]*)\]", output.rpartition("\n[")[2].join(("[", "")))

    def close(self) -> None:
        self.type("exit\n")
        self._process.wait(SECONDS)
        os.close(self._terminal)


def test_bash_writes_what_it_completes(folder: Path) -> None:
    """With a real readline: nothing is doubled where it takes words apart at = and at colons."""
    (folder / "a b").mkdir()
    bash = BashOnTerminal(folder)
    try:
        assert bash.arguments_of("twofold verif\tfil\tpho\t prose\t") == ["verify", "file://photos/", "prose.txt"]
        assert bash.arguments_of(f"twofold ls file://{folder}/pl\t") == ["ls", f"file://{folder}/plans/"]
        assert bash.arguments_of("twofold full --metadata-sync-mode=pa\t--tempdir=pl\t") == [
            "full",
            "--metadata-sync-mode=partial",
            "--tempdir=plans/",
        ]
        assert bash.arguments_of("twofold full --vols\t5 a\t file://a\t") == [
            "full",
            "--volsize",
            "5",
            "a b/",
            "file://a b/",
        ]
    finally:
        bash.close()
