from collections.abc import Iterator

import pytest

from tests.support.kernels import VARIANTS, kernel_variant
from twofold.rsync.kernel import Kernel


@pytest.fixture(params=VARIANTS)
def kernel(request: pytest.FixtureRequest) -> Iterator[Kernel]:
    with kernel_variant(request.param) as chosen:
        yield chosen
