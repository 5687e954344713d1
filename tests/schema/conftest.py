"""Fixtures that the tests of the services have as well."""

from tests.services.conftest import sqlite_world

__all__ = ["sqlite_world"]
