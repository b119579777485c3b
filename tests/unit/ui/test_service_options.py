"""What drivers are told of the command line is what the command line has."""

from __future__ import annotations

import pytest

from twofold.storage.settings import ServiceOptions
from twofold.ui.option_values import Options


@pytest.mark.parametrize("name", ServiceOptions.__match_args__)
def test_each_option_of_a_service_has_the_default_of_the_command_line(name: str) -> None:
    assert getattr(ServiceOptions(), name) == getattr(Options(), name)
