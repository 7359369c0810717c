"""What we test with and others may use: contracts for stores. Needs pytest."""

import pytest

pytest.register_assert_rewrite("jina_integrations.testing.store_contract")
