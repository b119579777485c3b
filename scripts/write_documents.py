"""Writes the manual page and the completions for shells, all of which are made from the table of options."""

from pathlib import Path

from twofold.ui.documents.files import generated_files

ROOT = Path(__file__).resolve().parent.parent

for name, text in generated_files().items():
    path = ROOT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(f"{name}: {len(text)} characters")
