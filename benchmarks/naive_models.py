"""The ORM classes of the naive program, on the tables that the product has."""

from datetime import datetime

from sqlalchemy import DateTime, ForeignKey
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    type_annotation_map = {datetime: DateTime(timezone=True)}  # noqa: RUF012 -- SQLAlchemy reads a plain attribute


class User(Base):
    __tablename__ = "users"

    id: Mapped[str] = mapped_column(primary_key=True)
    issuer: Mapped[str]
    subject: Mapped[str]
    display_name: Mapped[str]
    email: Mapped[str | None]
    created_at: Mapped[datetime]


class Folder(Base):
    __tablename__ = "folders"

    id: Mapped[str] = mapped_column(primary_key=True)
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("folders.id"))
    owner_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str]
    name_key: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Entry(Base):
    __tablename__ = "folder_entries"

    folder_id: Mapped[str] = mapped_column(ForeignKey("folders.id"), primary_key=True)
    name_key: Mapped[str] = mapped_column(primary_key=True)
    entry_id: Mapped[str]


class File(Base):
    __tablename__ = "files"

    id: Mapped[str] = mapped_column(primary_key=True)
    folder_id: Mapped[str] = mapped_column(ForeignKey("folders.id"))
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str]
    name_key: Mapped[str]
    size: Mapped[int]
    content_type: Mapped[str]
    stored_content_type: Mapped[str]
    detected_content_type: Mapped[str | None]
    sha256: Mapped[str | None]
    object_key: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Upload(Base):
    __tablename__ = "uploads"

    id: Mapped[str] = mapped_column(primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    folder_id: Mapped[str] = mapped_column(ForeignKey("folders.id"))
    file_id: Mapped[str]
    filename: Mapped[str]
    size: Mapped[int]
    content_type: Mapped[str]
    sha256: Mapped[str | None]
    object_key: Mapped[str]
    on_conflict: Mapped[str]
    status: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    expires_at: Mapped[datetime]
