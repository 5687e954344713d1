"""One loaded database with its three programs: the product, the naive query, the floor."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Final, Self

from benchmarks import floor as raw
from benchmarks.access import queries, viewers
from benchmarks.access.archive import Archive, Extent, created_at, user_id
from benchmarks.access.load import load
from benchmarks.access.reference import visible
from benchmarks.access.viewers import Viewer
from benchmarks.checks import Unequal
from benchmarks.site import Site
from graphql_api.access.plan import read_plan
from graphql_api.bootstrap import Assembly, assemble
from graphql_api.model.file import File
from graphql_api.model.ids import FileId, FolderId
from graphql_api.model.listing import FileFilter, FileOrder
from graphql_api.model.page import MAX_COUNTED, Page, PageRequest
from graphql_api.model.principal import Permission
from graphql_api.model.rule import Effect, Scope, Subject
from graphql_api.model.rule_change import RuleWish
from graphql_api.services.clock import utc_now
from graphql_api.services.standings import Standings
from graphql_api.services.upload_wishes import UploadWish
from graphql_api.settings import Settings

PAGE_SIZE: Final = 100


@dataclass(frozen=True, slots=True)
class Question:
    """A page of one viewer: the first one, or one from the middle of what they see."""

    viewer: Viewer
    is_middle: bool = False

    @property
    def name(self) -> str:
        return f"{self.viewer.name}, middle" if self.is_middle else self.viewer.name


@dataclass
class Stage:
    """``seen``: for each viewer, by name, the numbers of the files they may read, newest first."""

    archive: Archive
    ours: Assembly
    rows: raw.Rows
    is_sqlite: bool
    people: Mapping[str, Viewer]
    seen: Mapping[str, Sequence[int]]
    _fresh: Iterator[int] = field(default_factory=count)
    _moves: Iterator[int] = field(default_factory=count)

    @classmethod
    async def build(cls, place: Site, extent: Extent) -> Self:
        """Generate the archive and load it into the empty database of ``place``."""
        archive = Archive(extent)
        people = viewers.viewers(archive)
        await load(place.database_url, archive, people)
        return cls(
            archive=archive,
            ours=assemble(Settings.read(place.environment)),
            rows=await raw.connect(place.database_url),
            is_sqlite=place.database_url.startswith("sqlite"),
            people={viewer.name: viewer for viewer in people},
            seen={viewer.name: array("i", visible(archive, viewer)) for viewer in people},
        )

    async def close(self) -> None:
        await self.rows.close()
        await self.ours.close()

    @property
    def files(self) -> int:
        return self.archive.extent.files

    def start(self, question: Question) -> int:
        """How many of the files that the viewer sees come before the page: half of them, if the rest fill a page."""
        number = len(self.seen[question.viewer.name]) if question.is_middle else 0
        return number // 2 if number <= PAGE_SIZE else min(number // 2, number - PAGE_SIZE - 1)

    def expected(self, question: Question) -> Sequence[int]:
        start = self.start(question)
        return self.seen[question.viewer.name][start : start + PAGE_SIZE]

    async def page(self, question: Question, cursor: str | None = None) -> Page[File]:
        """What the product answers."""
        request = PageRequest(PAGE_SIZE, cursor)
        return await self.ours.services.files.list(question.viewer.principal, FileFilter(), FileOrder(), request)

    async def cursor(self, question: Question) -> str | None:
        """Where the page begins."""
        start = self.start(question)
        if not start:
            return None
        before = self.seen[question.viewer.name][start - 1]
        some = await self.page(question)
        there = replace(some.nodes[0], id=FileId(self.archive.file_ids[before]), created_at=created_at(before))
        return some.cursor_of(there)

    async def naive(self, question: Question) -> Sequence[Any]:
        viewer, start = question.viewer, self.start(question)
        subjects = [user_id(viewer.user), *viewer.group_ids, *(["admin"] if viewer.is_admin else [])]
        parameters: list[object] = [PAGE_SIZE + 1, user_id(viewer.user)]
        if start:
            before = self.seen[viewer.name][start - 1]
            parameters += [self.rows.instant(created_at(before)), self.archive.file_ids[before]]
        statement = queries.naive(is_admin=viewer.is_admin, has_cursor=start > 0, is_sqlite=self.is_sqlite)
        return await self.rows.among(statement, subjects, *parameters)

    async def floor(self, question: Question) -> Sequence[Any]:
        ids = [self.archive.file_ids[number] for number in self.expected(question)]
        return await self.rows.among(queries.floor(is_sqlite=self.is_sqlite), ids)

    async def check(self, question: Question) -> bool:
        """Whether the product filled the page; a search that ran out of budget may give less, and say so.

        Raises ``Unequal`` unless all three give the files that the reference gives, and whether there are more.
        """
        where = f"{question.name}, {self.files} files"
        expected = [self.archive.file_ids[number] for number in self.expected(question)]
        has_more = len(self.seen[question.viewer.name]) > self.start(question) + PAGE_SIZE
        page = await self.page(question, await self.cursor(question))
        ours = [node.id for node in page.nodes]
        is_full = page.resume is None
        if ours != (expected if is_full else expected[: len(ours)]) or page.has_next_page != (has_more or not is_full):
            raise Unequal(f"{where}: the product does not answer as the reference")
        if any(node.terms is None for node in page.nodes):
            raise Unequal(f"{where}: not everything that is seen may be downloaded")
        floor = await self.floor(question)
        if [tuple(row)[:9] for row in floor][: len(ours)] != [_values(node) for node in page.nodes]:
            raise Unequal(f"{where}: the files are not as they were generated")
        naive = [row[0] for row in await self.naive(question)]
        if naive[:PAGE_SIZE] != expected or (len(naive) > PAGE_SIZE) != has_more:
            raise Unequal(f"{where}: the naive query does not answer as the reference")
        return is_full

    async def count(self, viewer: Viewer) -> None:
        """Have the product count what the viewer sees. Raises ``Unequal`` if that is not as many."""
        found = await self.ours.services.files.count(viewer.principal, FileFilter())
        number = len(self.seen[viewer.name])
        if found.number > number or (found.is_exact and found.number != number):
            raise Unequal(f"{viewer.name}, {self.files} files: {found} instead of {number}")
        if not found.is_exact and number <= MAX_COUNTED // 2:
            raise Unequal(f"{viewer.name}, {self.files} files: {found} could be exact")

    async def translate(self, viewer: Viewer) -> None:
        """What the first request after a change of rules does before its page."""
        async with self.ours.database.autocommit() as connection:
            read_plan(await Standings(utc_now).of(connection, viewer.principal))

    async def move(self) -> None:
        """Put the folder with many files into another department, and the next time back."""
        departments = self.archive.departments
        target = departments[2][1] if next(self._moves) % 2 == 0 else departments[1][0]
        ids = [FolderId(self.archive.folders[number].id) for number in (self.archive.moved, target)]
        await self.ours.services.folders.move(self.people[viewers.ADMIN].principal, *ids)

    async def add_rule(self) -> None:
        """One more rule about somebody else."""
        number = next(self._fresh)
        folder = self.archive.folders[number % len(self.archive.folders)]
        whom = Subject(user_id(number // len(self.archive.folders)))
        wish = RuleWish(Effect.ALLOW, frozenset({Permission.SHARE}), whom, Scope(folder.id))
        await self.ours.services.policies.create(self.people[viewers.ADMIN].principal, wish)

    async def create_upload(self) -> None:
        home = FolderId(self.archive.folders[self.archive.homes[0]].id)
        wish = UploadWish(f"Report {next(self._fresh)}.pdf", 1_234_567, "application/pdf", home)
        await self.ours.services.uploads.create(self.people[viewers.HOME].principal, wish)


def _values(file: File) -> tuple[object, ...]:
    return (
        file.id,
        file.folder_id,
        file.owner_id,
        file.name,
        file.size,
        file.content_type,
        file.stored_content_type,
        file.sha256,
        file.object_key,
    )
