"""Lets the shipped conformance tests explain their failed assertions as test files do."""

import pytest

pytest.register_assert_rewrite(
    "twofold.storage.testing.ground",
    "twofold.storage.testing.ability_conformance",
    "twofold.storage.testing.conformance",
)
