"""The generated files of the repository: their places and contents. pyproject.toml says where they are installed."""

from __future__ import annotations

from twofold.ui.documents.bash import bash_completion
from twofold.ui.documents.fish import fish_completion
from twofold.ui.documents.manual import manual_page
from twofold.ui.documents.zsh import zsh_completion


def generated_files() -> dict[str, str]:
    """Texts by their paths below the root of the repository."""
    return {
        "docs/man/twofold.1": manual_page(),
        "completions/twofold.bash": bash_completion(),
        "completions/_twofold": zsh_completion(),
        "completions/twofold.fish": fish_completion(),
    }
