"""The fixtures of a store's contract."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest

from ..stores.access import StoreAccess
from ..stores.base import Store
from .store_samples import INFO

__all__ = ["OpenAccess", "OpenStore", "StoreFixtures"]

OpenStore: TypeAlias = Callable[[], Store]
OpenAccess: TypeAlias = Callable[[], StoreAccess]


class StoreFixtures:
    """A collection to test with; `open_store` is overridden."""

    @pytest.fixture
    def open_store(self) -> OpenStore:
        """A function that opens one collection, absent at first; each call makes a new `Store`."""
        raise NotImplementedError("override the fixture open_store")

    @pytest.fixture
    def open_access(self, open_store: OpenStore) -> Iterator[OpenAccess]:
        """`open_store`, as the core uses it. What it opened is closed after the test."""
        opened: list[StoreAccess] = []

        def opening() -> StoreAccess:
            opened.append(StoreAccess(open_store(), total_timeout_s=30.0))
            return opened[-1]

        yield opening
        for access in opened:
            access.close()

    @pytest.fixture
    def access(self, open_access: OpenAccess) -> StoreAccess:
        """The collection, made and empty."""
        access = open_access()
        access.create(INFO)
        return access
