import pytest

pytest.register_assert_rewrite("tests.stateful.machine")  # the assertions of all of it stand there
