"""What we test with and others may use: contracts for stores. Needs pytest and hypothesis."""

import pytest

pytest.register_assert_rewrite(
    "jina_integrations.testing.store_contract",
    "jina_integrations.testing.store_failures",
    "jina_integrations.testing.store_search_contract",
)

from .memory_store import MemoryStore  # noqa: E402
from .store_contract import StoreContract  # noqa: E402
from .store_failures import FullDiskContract, KilledWriterContract  # noqa: E402
from .store_samples import DIMENSIONS, INFO, dense_vectors, records  # noqa: E402

__all__ = [
    "DIMENSIONS",
    "INFO",
    "FullDiskContract",
    "KilledWriterContract",
    "MemoryStore",
    "StoreContract",
    "dense_vectors",
    "records",
]
