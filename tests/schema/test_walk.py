"""Nothing of other people's shows, whatever way one goes; exceptions are written down here and nowhere else.

The ways are found by introspection (``walk.py``), so that a field is covered on the day it appears.
"""

import json
import re
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import Annotated, Any, Final

import pytest
import strawberry
from graphql import GraphQLObjectType
from graphql import build_schema as read_schema
from sqlalchemy import select

from graphql_api.db.tables import Base
from graphql_api.errors import Forbidden, NotFound
from graphql_api.model import file as nouns
from graphql_api.model.audit import AuditFilter
from graphql_api.model.ids import (
    new_event_id,
    new_file_id,
    new_folder_id,
    new_group_id,
    new_rule_id,
    new_share_link_id,
    new_signing_key_id,
    new_upload_id,
    new_user_id,
    new_version_id,
)
from graphql_api.model.listing import FileFilter, FileOrder
from graphql_api.model.page import PageRequest
from graphql_api.model.principal import ANONYMOUS, Permission, Principal
from graphql_api.model.rule import ANYONE, SIGNED_IN, Effect, Scope, label_scope
from graphql_api.model.rule_change import RuleWish
from graphql_api.model.signing_key import HashAlgorithm
from graphql_api.model.upload import UploadMethod
from graphql_api.schema import GuardRules, build_schema, build_stock_schema
from graphql_api.schema.context import Context, Info
from graphql_api.schema.errors import user_errors
from graphql_api.schema.guard import Limits
from graphql_api.schema.inputs import INPUT
from graphql_api.schema.mutation import Mutation
from graphql_api.schema.payloads import Payload
from graphql_api.schema.query import Query
from graphql_api.schema.types import File
from tests.schema.walk import Asker, Place, Way, places, ways
from tests.services.bundled import bundled
from tests.services.sharing import shared
from tests.services.stories import delivered, denied, filed, foldered, promised, ruled, sent
from tests.world import START, World

ENDLESS: Final = GuardRules(Limits(*[10**9] * 6))  # a walk asks for everything at once
SCHEMA: Final = build_schema(ENDLESS)
CORE: Final = read_schema(SCHEMA.as_str())
ABSENT: Final = {
    "file": new_file_id(START),
    "folder": new_folder_id(START),
    "bundle": new_file_id(START),
    "other_folder": new_folder_id(START),
    "upload": new_upload_id(START),
    "upload_in_parts": new_upload_id(START),
    "rule": new_rule_id(START),
    "rule_about_anyone": new_rule_id(START),
    "rule_about_signed_in": new_rule_id(START),
    "rule_on_label": new_rule_id(START),
    "group": new_group_id(START),
    "user": new_user_id(START),
    "other_user": new_user_id(START),
    "event": new_event_id(START),
    "version": new_version_id(START),
    "share_link": new_share_link_id(START),
    "key": new_signing_key_id(START),
}

KINDS: Final = [kind for kind in ABSENT if not kind.startswith("other_")]

TOLD_TO_STRANGERS: Final[Mapping[str, Set[str]]] = {
    # Who makes a rule may name anybody by id: an id has 80 random bits, so who has one was given it.
    f"{way}.subject.userId": {"user"}
    for way in (
        "Mutation.createAccessRule input",
        "Mutation.updateAccessRule input",
        "Mutation.replaceAccessRules input.rules",
        "Query.previewAccessRules input.changes.create",
        "Query.previewAccessRules input.changes.update",
        "Query.previewAccessRules input.changes.replace.rules",
    )
}
"""Where ids of hidden things are answered otherwise than ids that nothing has."""


@dataclass
class Town:
    """``hidden``: what the owner has; ``own``: what the stranger has."""

    world: World
    admin: Principal
    owner: Principal
    reader: Principal
    stranger: Principal
    hidden: Mapping[str, str]
    own: Mapping[str, str]

    async def ask(self, schema: strawberry.Schema, document: tuple[str, dict[str, Any]], as_: Principal) -> str:
        context = Context(self.world.services, as_, client_address="192.0.2.1", request_id="req-1")
        result = await schema.execute(document[0], document[1], context_value=context)
        assert isinstance(result, strawberry.types.ExecutionResult)
        errors = [error.formatted for error in result.errors or ()]
        assert not any("path" not in error for error in errors), (document, errors)  # the walk writes sound documents
        return json.dumps([result.data, errors], default=str)

    async def contents(self) -> dict[str, list[Any]]:
        """Every row of the database."""
        async with self.world.database.autocommit() as connection:
            return {
                table.name: sorted(map(repr, await connection.execute(select(table))))
                for table in Base.metadata.sorted_tables
            }


async def settle(world: World, person: Principal, admin: Principal, word: str, *, reader: Principal) -> dict[str, str]:
    """One thing of each kind that is ``person``'s, with ``word`` in its name; ``reader`` may read the folder."""
    folder = await foldered(world, person, f"{word} folder")
    other = await foldered(world, person, f"{word} other folder")
    file = await filed(world, person, f"{word} file", folder_id=folder.id)
    [first] = (await world.services.versions.list_of(person, PageRequest(), [file.id]))[file.id].nodes
    await filed(world, person, f"{word} new bytes", replaces=file.id)
    await delivered(world, {(file, START.date()): (1, 5)})
    film = await bundled(world, person, name=f"{word} film", folder_id=folder.id)
    upload = await sent(world, person, f"{word} upload", folder_id=folder.id)
    wish = {"folder_id": folder.id, "method": UploadMethod.MULTIPART}
    upload_in_parts = await promised(world, person, f"{word} upload in parts", **wish)
    await world.services.notes.change_labels(person, file.id, [f"{word} label"], [])
    await world.services.notes.change_metadata(person, file.id, {"note": f"{word} note"}, [])
    rule = await ruled(world, reader, folder.id, Permission.READ)
    addresses = f"10.{len(word)}.0.0/16"
    from_inside = await ruled(world, ANYONE, file.id, Permission.READ, ip_ranges=(addresses,))
    coming = await ruled(world, SIGNED_IN, folder.id, Permission.READ, starts_at=START + timedelta(days=9))
    on_label = await denied(world, ANYONE, f"label:{word} word", Permission.READ)
    await ruled(world, reader, other.id, Permission.READ)
    group = await world.services.groups.create(admin, f"{word} group", claim=f"{word} claim")
    assert person.user_id is not None
    assert reader.user_id is not None
    await world.services.groups.change_members(admin, group.id, [person.user_id, reader.user_id], [])
    link = await shared(world, person, folder, label=f"{word} link")
    events = await world.services.audit_log.list(admin, AuditFilter(resource_id=group.id), PageRequest())
    key_pair_id = f"K-{word.replace(' ', '-')}"
    at = world.key_places.put(f"/{key_pair_id}.pem")
    key = await world.services.signing_keys.add(admin, key_pair_id, at, HashAlgorithm.SHA256)
    world.edge.group[key_pair_id] = key.public_pem
    return {
        "file": file.id,
        "bundle": film.id,
        "folder": folder.id,
        "other_folder": other.id,
        "upload": upload.id,
        "upload_in_parts": upload_in_parts.id,
        "rule": rule.id,
        "rule_about_anyone": from_inside.id,
        "rule_about_signed_in": coming.id,
        "rule_on_label": on_label.id,
        "addresses": addresses,
        "group": group.id,
        "user": person.user_id,
        "other_user": reader.user_id,
        "event": events.nodes[0].id,
        "version": first.id,
        "share_link": link.link.id,
        "key": key.id,
    }


@pytest.fixture
async def town(sqlite_world: World) -> Town:
    world = World(sqlite_world.database, revokes=True)
    admin = await world.principal("secretadmin", is_admin=True)
    press = RuleWish(Effect.ALLOW, frozenset({Permission.READ}), ANYONE, label_scope("press"))
    await world.services.policies.create(admin, press)  # everybody may know of it, but not who made it
    owner, reader = await world.principal("secretowner"), await world.principal("secretreader")
    stranger, friend = await world.principal("stranger"), await world.principal("friend")
    hidden = await settle(world, owner, admin, "secret", reader=reader)
    own = await settle(world, stranger, admin, "own", reader=friend)
    return Town(world, admin, owner, reader, stranger, hidden, own)


def shown(answer: str, things: Mapping[str, str], word: str = "secret") -> set[str]:
    """The kinds of ``things`` that the answer tells of."""
    found = {kind for kind, id_ in things.items() if id_ in answer}
    return found | ({"a name"} if word in answer.lower() else set())


async def leaks(
    schema: strawberry.Schema, town: Town, as_: Principal, *, walked: Set[str] = frozenset()
) -> dict[str, set[str]]:
    """The kinds of hidden things that ``as_`` learns of, by the way, or by the place where a hidden id is told from an
    absent one. ``walked``: ways to leave out.
    """
    core = read_schema(schema.as_str())
    found: dict[str, set[str]] = {}
    for way in [*ways(core), *ways(core, "mutation")]:
        if str(way) in walked:
            continue
        tag = await town.world.services.policies.tag(town.stranger, Scope(town.own["file"]))
        asker = Asker(core, ABSENT if as_.user_id is None else town.own, {"tag": tag})
        if way.operation == "query":
            found[str(way)] = shown(await town.ask(schema, asker.document(way, depth=1), as_), town.hidden)
        for place in places(way):
            at = f"{way} {'.'.join(place)}"
            before = await town.contents()
            found[at] = {kind for kind in KINDS if await tells(schema, town, asker, way, place, kind, as_)}
            if not found[at] and await town.contents() != before:
                found[at] = {"a change"}
    return {at: kinds for at, kinds in found.items() if kinds}


async def tells(
    schema: strawberry.Schema, town: Town, asker: Asker, way: Way, place: Place, kind: str, as_: Principal
) -> bool:
    """Whether the hidden thing of this kind is answered otherwise than one that is not there."""
    answers = []
    for id_ in (ABSENT[kind], town.hidden[kind]):
        still = replace(asker, numbers=count())  # the same texts for both
        answers.append((await town.ask(schema, still.document(way, place, id_, depth=1), as_)).replace(id_, "ID"))
    return answers[0] != answers[1]


@pytest.mark.parametrize("who", ["stranger", "anonymous"])
async def test_nobody_learns_of_what_is_hidden_from_them(town: Town, who: str) -> None:
    as_, told = (town.stranger, TOLD_TO_STRANGERS) if who == "stranger" else (ANONYMOUS, {})
    assert await leaks(SCHEMA, town, as_) == told


async def test_the_walk_reaches_every_field_of_every_type(town: Town) -> None:
    reached = {str(way) for way in [*ways(CORE), *ways(CORE, "mutation")]}
    every = {
        f"{type_.name}.{name}"
        for type_ in CORE.type_map.values()
        if isinstance(type_, GraphQLObjectType) and not type_.name.startswith("__")
        for name in type_.fields
    }
    left = {way.partition(".")[0] for way in every - reached}
    left.discard("Subscription")  # see test_subscriptions: what they tell are the same types
    assert {name for name in left if not name.endswith(("Payload", "Result", "Error"))} == ONLY_IN_PAYLOADS


@pytest.mark.parametrize(
    ("who", "unseen"),
    [
        ("owner", {"event", "rule_on_label", "key"}),
        ("reader", {"event", "upload", "upload_in_parts", "rule_on_label", "share_link", "key"}),
        ("admin", {"upload", "upload_in_parts"}),
    ],
)
async def test_the_walk_finds_what_may_be_seen(town: Town, who: str, unseen: set[str]) -> None:
    """So that finding nothing means something: the ways are gone with one's own things, and lead to them."""
    as_: Principal = getattr(town, who)
    asker = Asker(CORE, town.hidden)
    found: set[str] = set()
    for way in ways(CORE):
        found |= shown(await town.ask(SCHEMA, asker.document(way, depth=1), as_), town.hidden)
    assert {*ABSENT, "a name", "addresses"} - found - {"other_folder", "other_user"} == unseen


@strawberry.type(description="A type with a leak.")
class Shelf:
    @strawberry.field(description="All files, whoever asks.", graphql_type=list[File])
    async def everything(self, info: Info) -> list[nouns.File]:
        return await everything(info)


@strawberry.type(name="Query", description="Reads, some of which leak.")
class LeakyQuery(Query):
    @strawberry.field(description="A way to a leak.")
    def shelf(self) -> Shelf:
        return Shelf()

    @strawberry.field(description="Any file, whoever asks.", graphql_type=File | None)
    async def any_file(self, info: Info, file_id: strawberry.ID) -> nouns.File | None:
        return next((file for file in await everything(info) if str(file.id) == file_id), None)


@strawberry.input(description="Files to touch.")
class TouchFilesInput:
    file_ids: list[strawberry.ID] = strawberry.field(description="The files.")


@strawberry.type(description="What went wrong.")
class TouchFilesPayload(Payload):
    pass


@strawberry.type(name="Mutation", description="Writes, one of which tells what exists.")
class LeakyMutation(Mutation):
    @strawberry.mutation(description="Touch files.")
    async def touch_files(self, info: Info, input: Annotated[TouchFilesInput, INPUT]) -> TouchFilesPayload:
        is_there = any(str(file.id) in set(input.file_ids) for file in await everything(info))
        refusal = Forbidden("no", required_permission=Permission.WRITE) if is_there else NotFound("no such file")
        return TouchFilesPayload(user_errors=user_errors(refusal))


async def everything(info: Info) -> list[nouns.File]:
    admin = Principal(new_user_id(START), is_admin=True)
    return list((await info.context.services.files.list(admin, FileFilter(), FileOrder(), PageRequest())).nodes)


async def test_a_leak_is_found_on_the_day_it_appears(town: Town) -> None:
    leaky = build_stock_schema(LeakyQuery, LeakyMutation, rules=ENDLESS)
    walked = {str(way) for way in [*ways(CORE), *ways(CORE, "mutation")]}
    for as_ in (town.stranger, ANONYMOUS):
        assert await leaks(leaky, town, as_, walked=walked) == {
            "Mutation.touchFiles input.fileIds": {"file", "bundle"},
            "Query.anyFile fileId": {"file", "bundle"},
            "Query.shelf": {"file", "bundle", "a name"},
            "Shelf.everything": {"file", "bundle", "a name"},
        }


ONLY_IN_PAYLOADS: Final = {"SignedCookie", "SignedStoreRequest"}  # made of what is visible to whoever gets it
CHANGES_NOTHING: Final = {
    "createSignedCookies",  # they are made by arithmetic
    "signUploadRequest",  # to begin at the store is the client's own doing
    "unpublish",  # what is not published
}
DONE: Final = "done"
ACTORS: Final = ("anonymous", "stranger", "reader", "owner", "admin")

# What becomes of a mutation that takes the id of a thing of the owner's, for each actor; and of one that takes none.
USUALLY: Final = dict(zip(ACTORS, ("NOT_FOUND", "NOT_FOUND", "FORBIDDEN", DONE, DONE), strict=True))
WITHOUT_IDS: Final = dict(zip(ACTORS, ("FORBIDDEN", "FORBIDDEN", "FORBIDDEN", "FORBIDDEN", DONE), strict=True))
EXCEPTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    # Who is not signed in is told so before anything is looked up.
    "createUpload": {"anonymous": "FORBIDDEN"},
    "createUploads": {"anonymous": "FORBIDDEN"},
    # Uploads are visible to who made them, and to administrators.
    "completeUpload": {"reader": "NOT_FOUND"},
    "abortUpload": {"reader": "NOT_FOUND"},
    "signUploadParts": {"reader": "NOT_FOUND"},
    "signUploadRequest": {"reader": "NOT_FOUND"},
    # Who may read it may download it.
    "createSignedCookies": {"reader": DONE},
    # Share links are visible to who made them, and to who may make them.
    "revokeShareLink": {"reader": "NOT_FOUND"},
    # The file is not everybody's, whoever asks.
    "publish": {"owner": "CONFLICT", "admin": "CONFLICT"},
    # How much is for administrators to say.
    "setUserQuota": dict.fromkeys(("anonymous", "stranger", "reader", "owner"), "FORBIDDEN"),
    "setFolderGate": {"owner": "FORBIDDEN"},
    # Keys are nobody's but the administrators'.
    "rotateSigningKey": dict.fromkeys(("anonymous", "stranger", "reader", "owner"), "FORBIDDEN"),
    # Members see a group; only administrators change it.
    "updateGroup": {"owner": "FORBIDDEN"},
    "deleteGroup": {"owner": "FORBIDDEN"},
    "changeGroupMembers": {"owner": "FORBIDDEN"},
}


def outcome(answer: str) -> str:
    codes = set(re.findall(r'"\w+Error_code": "(\w+)"', answer))
    assert len(codes) <= 1, answer
    assert json.loads(answer)[1] == [], answer
    return codes.pop() if codes else DONE


@pytest.mark.parametrize("way", list(ways(CORE, "mutation")), ids=lambda way: way.name)
async def test_a_mutation_is_for_those_who_may(town: Town, way: Way) -> None:
    """A new one is expected to be as most are."""
    expected = {**(USUALLY if places(way) else WITHOUT_IDS), **EXCEPTIONS.get(way.name, {})}
    found, numbers = {}, count()
    for actor in ACTORS:
        as_: Principal = ANONYMOUS if actor == "anonymous" else getattr(town, actor)
        things = town.hidden
        if actor == "admin":  # the owner may have deleted the first ones
            things = await settle(town.world, town.owner, town.admin, "secret second", reader=town.reader)
        tag = await town.world.services.policies.tag(town.owner, Scope(things["file"]))
        asker = Asker(CORE, things, {"tag": tag}, numbers)
        before = await town.contents()
        found[actor] = outcome(await town.ask(SCHEMA, asker.document(way, depth=2, takes_all=True), as_))
        does_something = found[actor] == DONE and way.name not in CHANGES_NOTHING
        assert (await town.contents() != before) == does_something, actor
    assert found == expected
