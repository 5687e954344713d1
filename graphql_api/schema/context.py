"""What every resolver may know of the request. One per operation, and so are its loaders."""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import anyio
import strawberry
from strawberry.dataloader import DataLoader

from graphql_api.errors import InvalidInput
from graphql_api.model.bundle import Bundle
from graphql_api.model.decision import AccessDecision
from graphql_api.model.delivery import BundleLink, Link, LinkWish, ReadGrant
from graphql_api.model.file import File, FileVersion, Folder, Integrity
from graphql_api.model.group import Group, User
from graphql_api.model.ids import FileId, FolderId, GroupId, UserId
from graphql_api.model.page import Page, PageRequest
from graphql_api.model.principal import Permission, Principal
from graphql_api.model.quota import FolderGate, Quota
from graphql_api.model.revocation import LinkRevocation, Markable
from graphql_api.model.rule import AccessRule, Scope
from graphql_api.model.share import ShareLink
from graphql_api.model.traffic import TrafficBucket, TrafficSpan
from graphql_api.services import Services
from graphql_api.services.folders import Place
from graphql_api.services.rates import Meter

K = TypeVar("K")
V = TypeVar("V")
A = TypeVar("A")


@dataclass
class Context:
    """Who asks, from where, and the use cases. ``client_address`` is None when it is not known.

    Loaders show what the viewer may see. ``named_users`` and ``named_groups`` show whoever stands in something that
    the viewer has been shown already.
    """

    services: Services
    principal: Principal
    client_address: str | None
    request_id: str
    wishes: dict[tuple[object, ...], LinkWish] = field(default_factory=dict)
    """What was wished of links, by the arguments of the field."""
    named: dict[Markable, str] = field(default_factory=dict)
    """By what links to the files of pages can be revoked, where that was read with the page."""

    deadline: anyio.CancelScope | None = None
    """In which the transport waits for the answer, or for that to one event of a subscription."""

    event_limit: float = math.inf
    """Seconds for one event of a subscription, once it has begun."""

    cookies: list[BundleLink] = field(default_factory=list)
    """What the answer sets as cookies besides telling it, where it can."""

    meter: Meter = field(default_factory=Meter)
    """What the operation spends."""

    def limit_event(self) -> None:
        """An event has happened, and has to be answered by a deadline of its own."""
        if self.deadline is not None:
            self.deadline.deadline = anyio.current_time() + self.event_limit

    def for_mutation(self) -> "Context":
        """This context with nothing loaded: an operation's mutations run in turn, and each changes what is true."""
        self.forget()
        return self

    def forget(self) -> None:
        """What was loaded may be true no longer."""
        for name in _LOADERS:
            self.__dict__.pop(name, None)
        self.named.clear()

    @cached_property
    def files(self) -> DataLoader[FileId, File | None]:
        return self._loader(self.services.files.find, None)

    @cached_property
    def bundles(self) -> DataLoader[FileId, Bundle | None]:
        return self._loader(self.services.bundles.find, None)

    @cached_property
    def folders(self) -> DataLoader[FolderId, Folder | None]:
        return self._loader(self.services.folders.find, None)

    @cached_property
    def places(self) -> DataLoader[FolderId, Place | None]:
        return self._loader(self.services.folders.places, None)

    @cached_property
    def labels(self) -> DataLoader[FileId, Sequence[str]]:
        return self._loader(self.services.notes.labels, ())

    @cached_property
    def metadata(self) -> DataLoader[FileId, Mapping[str, str]]:
        return self._loader(self.services.notes.metadata, {})

    @cached_property
    def publicity(self) -> DataLoader[FileId, bool]:
        return self._loader(self.services.files.visibility, False)

    @cached_property
    def public_addresses(self) -> DataLoader[FileId, str | None]:
        return self._loader(self.services.publications.addresses, None)

    @cached_property
    def integrity(self) -> DataLoader[FileId, Integrity | None]:
        return self._loader(self.services.files.integrity, None)

    @cached_property
    def gates(self) -> DataLoader[FolderId, FolderGate | None]:
        return self._loader(self.services.quotas.gates, None)

    @cached_property
    def quotas(self) -> DataLoader[UserId, Quota | None]:
        return self._loader(self.services.quotas.of_users, None)

    @cached_property
    def users(self) -> DataLoader[UserId, User | None]:
        return self._loader(self.services.people.find, None)

    @cached_property
    def groups(self) -> DataLoader[GroupId, Group | None]:
        return self._loader(self.services.groups.find, None)

    @cached_property
    def named_users(self) -> DataLoader[UserId, User | None]:
        return self._loader(lambda _principal, ids: self.services.people.find_named(ids), None)

    @cached_property
    def named_groups(self) -> DataLoader[GroupId, Group | None]:
        return self._loader(lambda _principal, ids: self.services.groups.find_named(ids), None)

    @cached_property
    def revocable_by(self) -> DataLoader[Markable, str]:
        """What a link to a file has to say of that, if it was not read with its page."""
        return self._loader(self.services.revocations.parameters, "")

    @cached_property
    def file_revocations(self) -> DataLoader[FileId, LinkRevocation | None]:
        return self._loader(self.services.revocations.of_files, None)

    @cached_property
    def folder_revocations(self) -> DataLoader[FolderId, LinkRevocation | None]:
        return self._loader(self.services.revocations.of_folders, None)

    @cached_property
    def user_revocations(self) -> DataLoader[UserId, LinkRevocation | None]:
        return self._loader(self.services.revocations.of_users, None)

    @cached_property
    def decisions(self) -> DataLoader[tuple[FileId | FolderId, Permission], AccessDecision | None]:
        """By thing and action, about the viewer."""

        async def explain(keys: Sequence[tuple[FileId | FolderId, Permission]]) -> list[AccessDecision | None]:
            found = await self.services.policies.explain_own(self.principal, keys)
            return [found.get(key) for key in keys]

        return DataLoader(explain)

    @cached_property
    def rules_on(self) -> DataLoader[tuple[Scope, PageRequest], Page[AccessRule]]:
        """By resource and page: fields that ask for the same page of several resources share the statements."""
        return self._page_loader(self.services.policies.list_on)

    @cached_property
    def versions_of(self) -> DataLoader[tuple[FileId, PageRequest], Page[FileVersion]]:
        """By file and page, likewise."""
        return self._page_loader(self.services.versions.list_of)

    @cached_property
    def share_links_on(self) -> DataLoader[tuple[Scope, PageRequest], Page[ShareLink]]:
        """By resource and page, likewise."""
        return self._page_loader(self.services.share_links.list_on)

    @cached_property
    def usage_of(self) -> DataLoader[tuple[FileId, TrafficSpan], Sequence[TrafficBucket] | None]:
        """By file and days, likewise; None where the viewer may not know."""

        async def load(keys: Sequence[tuple[FileId, TrafficSpan]]) -> list[Sequence[TrafficBucket] | None]:
            spans = dict.fromkeys(span for _, span in keys)
            found = {
                span: await self.services.traffic.of_files(
                    self.principal, span, [id_ for id_, its in keys if its == span]
                )
                for span in spans
            }
            return [found[span].get(id_) for id_, span in keys]

        return DataLoader(load)

    @cached_property
    def rule_tags(self) -> DataLoader[Scope, str | None]:
        return self._loader(self.services.policies.tags, None)

    @cached_property
    def permissions(self) -> DataLoader[Principal, frozenset[Permission]]:
        """What somebody may do everywhere: asked for the viewer only, and once."""

        async def load(principals: Sequence[Principal]) -> list[frozenset[Permission]]:
            return [await self.services.people.permissions(principal) for principal in principals]

        return DataLoader(load)

    @cached_property
    def remote_links(self) -> DataLoader[tuple[ReadGrant, LinkWish], Link]:
        """Links that a key elsewhere signs, in one step for all that ask at once."""

        async def load(wanted: Sequence[tuple[ReadGrant, LinkWish]]) -> list[Link | BaseException]:
            return [*await self.services.delivery.sign_page(wanted)]

        return DataLoader(load)

    def _loader(
        self, find: Callable[[Principal, Sequence[K]], Awaitable[Mapping[K, V]]], absent: A
    ) -> DataLoader[K, V | A]:
        async def load(ids: Sequence[K]) -> list[V | A]:
            found = await find(self.principal, ids)
            return [found.get(id_, absent) for id_ in ids]

        return DataLoader(load)

    def _page_loader(
        self, find: Callable[[Principal, PageRequest, Sequence[K]], Awaitable[Mapping[K, Page[V]]]]
    ) -> DataLoader[tuple[K, PageRequest], Page[V]]:
        async def load(keys: Sequence[tuple[K, PageRequest]]) -> list[Page[V] | BaseException]:
            found: dict[tuple[K, PageRequest], Page[V] | BaseException] = {}
            for request in dict.fromkeys(request for _, request in keys):
                wanted = [key for key, its_request in keys if its_request == request]
                try:
                    pages = await find(self.principal, request, wanted)
                except InvalidInput as error:  # only those who gave the foreign cursor are told of it
                    found |= {(key, request): error for key in wanted}
                else:
                    found |= {(key, request): page for key, page in pages.items()}
            return [found[key] for key in keys]

        return DataLoader(load)


_LOADERS = [name for name, value in vars(Context).items() if isinstance(value, cached_property)]

Info = strawberry.Info[Context, None]
