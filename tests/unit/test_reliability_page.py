"""docs/reliability.md says what was counted, and nothing else."""

import json

from tests.reliability import FIGURES, PAGE, page


def test_the_page_is_made_of_the_figures_beside_it() -> None:
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    assert PAGE.read_text(encoding="utf-8") == page(figures)
    assert figures["losses"] == 0
    assert figures["tried"]["SEQUENCES"] > 0
