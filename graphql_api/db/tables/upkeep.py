"""What upkeep has to remember besides what it removes."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from graphql_api.db.tables.base import Base
from graphql_api.db.types import binary_text


class ObjectCheckRow(Base):
    """An object that a form could store again: to be compared once more when the form has expired.

    ``form_ends_at`` is moved on when the store could not tell of the object.
    """

    __tablename__ = "object_checks"

    object_key: Mapped[str] = mapped_column(binary_text(), primary_key=True)
    form_ends_at: Mapped[datetime] = mapped_column(index=True)


class PeriodicTaskRow(Base):
    """Something that one of all processes does now and then: whoever moves ``due_at`` on does it."""

    __tablename__ = "periodic_tasks"

    name: Mapped[str] = mapped_column(binary_text(40), primary_key=True)
    due_at: Mapped[datetime]
