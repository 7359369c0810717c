"""What we test with and others may use: contracts for stores. Needs pytest."""

import pytest

pytest.register_assert_rewrite(
    "jina_integrations.testing.store_contract", "jina_integrations.testing.store_failures"
)

from .store_contract import DIMENSIONS, INFO, StoreContract, embedded, vectors  # noqa: E402
from .store_failures import FullDiskContract, KilledWriterContract  # noqa: E402

__all__ = [
    "DIMENSIONS",
    "INFO",
    "FullDiskContract",
    "KilledWriterContract",
    "StoreContract",
    "embedded",
    "vectors",
]
