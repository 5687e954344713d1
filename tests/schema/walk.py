"""A walk through a schema by introspection: every way to a thing is found, and none has to be named.

A **way** is a field of a type and how one gets to that type from the root. Where a field takes an id, each place for
one is tried with the ids of other people's things and with ids that nothing has.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
    is_abstract_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    is_required_argument,
    is_required_input_field,
)

Place = tuple[str, ...]  # of an id among the arguments: argument, input field, input field …

KIND_OF: Final = {
    "fileId": "file",
    "fileIds": "file",
    "folderId": "folder",
    "parentId": "other_folder",
    "uploadId": "upload",
    "versionId": "version",
    "versionIds": "version",
    "ruleId": "rule",
    "shareLinkId": "share_link",
    "signingKeyId": "key",
    "groupId": "group",
    "userId": "user",
    "actorId": "user",
    "addUserIds": "user",
    "removeUserIds": "other_user",
    "resourceId": "file",
    "CreateSignedCookiesInput.fileId": "bundle",
    "CreateUploadInput.replaceFileId": "file",
    "SignUploadPartsInput.uploadId": "upload_in_parts",
    "SignUploadRequestInput.uploadId": "upload_in_parts",
    "Query.node.id": "file",
    "Query.nodes.ids": "file",
    "Query.folder.id": "folder",
    "MoveFilesInput.folderId": "other_folder",
    "FileLocator.id": "file",
    "UserLocator.id": "user",
}
"""Which kind of thing an id names, by the field's name or, where that does not tell, by its coordinate."""

SAMPLES: Final[Mapping[str, object]] = {
    "add": ["blue"],
    "allowedContentTypes": ["text/*"],
    "contentType": "text/markdown",
    "createdAt": "2026-01-01T00:00:00Z",
    "email": "someone@example.test",
    "isRecursive": True,
    "mainPath": "index.m3u8",
    "maxFileSize": 5_000,
    "permissions": ["READ"],
    "quota": 1_000_000,
    "remove": [],
    "set": [{"key": "note", "value": "x"}],
    "size": 5,
    "version": 1,
}
"""Sound values of fields that are not ids; they are given even where the field may be left out."""

ONE_OF: Final = {"CreateUploadsInput": "uploads"}
"""Fields of which one has to be given though each may be left out: this one, if it does not matter."""


@dataclass(frozen=True)
class Way:
    """``path``: the fields from the root to ``type_``, each with the type that it is asked of."""

    operation: str
    path: tuple[tuple[GraphQLObjectType, str], ...]
    type_: GraphQLObjectType
    name: str

    def __str__(self) -> str:
        return f"{self.type_.name}.{self.name}"

    @property
    def field(self) -> GraphQLField:
        found: GraphQLField = self.type_.fields[self.name]
        return found


def ways(schema: GraphQLSchema, operation: str = "query") -> Iterator[Way]:
    """Every field of every type that can be reached, once; of mutations only those of the root."""
    root = schema.query_type if operation == "query" else schema.mutation_type
    assert root is not None
    paths: dict[GraphQLObjectType, tuple[tuple[GraphQLObjectType, str], ...]] = {root: ()}
    queue = [root]
    for is_abstract_allowed in (False, True):  # where there is a straight way, ``node`` is none
        pending = list(paths)
        for type_ in pending:
            for name, field_ in type_.fields.items():
                named = get_named_type(field_.type)
                if is_leaf_type(named) or (is_abstract_type(named) and not is_abstract_allowed):
                    continue
                for found in _objects(schema, named):
                    if found not in paths:
                        paths[found] = (*paths[type_], (type_, name))
                        queue.append(found)
                        pending.append(found)
    for type_ in [root] if operation == "mutation" else queue:
        for name in type_.fields:
            yield Way(operation, paths[type_], type_, name)


def _objects(schema: GraphQLSchema, type_: Any) -> Sequence[GraphQLObjectType]:
    return schema.get_possible_types(type_) if is_abstract_type(type_) else [type_]


def places(way: Way) -> list[Place]:
    """Where the way's last field takes ids."""
    return [place for name, argument in way.field.args.items() for place in _places(name, argument.type, ())]


def _places(name: str, type_: Any, seen: tuple[str, ...]) -> Iterator[Place]:
    named = get_named_type(type_)
    if named is GraphQLID:
        yield (name,)
    elif isinstance(named, GraphQLInputObjectType) and named.name not in seen:
        for inner, field_ in named.fields.items():
            for rest in _places(inner, field_.type, (*seen, named.name)):
                yield (name, *rest)


@dataclass
class Asker:
    """Writes documents. ``things``: ids by kind, for wherever an id is needed that is not at stake."""

    schema: GraphQLSchema
    things: Mapping[str, str]
    samples: Mapping[str, object] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)

    def document(
        self, way: Way, place: Place | None = None, id_: str = "", *, depth: int, takes_all: bool = False
    ) -> tuple[str, dict[str, Any]]:
        """An operation that goes the way, with ``id_`` at ``place``; with ``takes_all``, an id wherever one may be."""
        variables: dict[str, Any] = {}
        declared: list[str] = []
        text = self._field(way.type_, way.name, place, id_, variables, declared, takes_all=takes_all)
        text += self._selection(way.field.type, depth)
        last = way.type_
        for type_, name in reversed(way.path):
            inner = f"... on {last.name} {{ {text} }}"
            text = self._field(type_, name, None, "", variables, declared) + f" {{ {inner} }}"
            last = type_
        head = f"({', '.join(declared)})" if declared else ""
        return f"{way.operation} {head} {{ {text} }}", variables

    def _field(
        self,
        type_: GraphQLObjectType,
        name: str,
        place: Place | None,
        id_: str,
        variables: dict[str, Any],
        declared: list[str],
        *,
        takes_all: bool = False,
    ) -> str:
        given = []
        for argument_name, argument in type_.fields[name].args.items():
            here = place[1:] if place is not None and place[0] == argument_name else None
            if not (is_required_argument(argument) or here is not None):
                continue
            variable = f"v{len(variables)}"
            coordinate = f"{type_.name}.{name}.{argument_name}"
            variables[variable] = self._value(coordinate, argument, here, id_, takes_all=takes_all)
            declared.append(f"${variable}: {argument.type}")
            given.append(f"{argument_name}: ${variable}")
        return name + (f"({', '.join(given)})" if given else "")

    def _value(
        self,
        coordinate: str,
        of: GraphQLArgument | GraphQLInputField,
        place: Place | None,
        id_: str,
        *,
        takes_all: bool,
    ) -> Any:
        type_ = of.type.of_type if is_non_null_type(of.type) else of.type
        if is_list_type(type_):
            name = coordinate.rpartition(".")[2]
            if name in SAMPLES and place is None:
                return SAMPLES[name]
            return [self._one(coordinate, get_named_type(type_), place, id_, takes_all=takes_all)]
        return self._one(coordinate, get_named_type(type_), place, id_, takes_all=takes_all)

    def _one(self, coordinate: str, type_: Any, place: Place | None, id_: str, *, takes_all: bool) -> Any:
        name = coordinate.rpartition(".")[2]
        if type_ is GraphQLID:
            if place is not None:
                return id_
            kind = KIND_OF.get(coordinate) or KIND_OF.get(name)
            assert kind is not None, f"say in KIND_OF what {coordinate} names"
            return self.things[kind]
        if isinstance(type_, GraphQLInputObjectType):
            return self._object(type_, place, id_, takes_all=takes_all)
        if isinstance(type_, GraphQLEnumType):
            return next(iter(type_.values))
        if coordinate == "BundleEntryInput.path":
            return SAMPLES["mainPath"]
        if name in self.samples:
            return self.samples[name]
        if name in SAMPLES:
            return SAMPLES[name]
        return {"Int": 1, "Boolean": True, "DateTime": "2027-01-01T00:00:00Z"}.get(
            type_.name, f"new {next(self.numbers)}"
        )

    def _object(
        self, type_: GraphQLInputObjectType, place: Place | None, id_: str, *, takes_all: bool
    ) -> dict[str, Any]:
        if type_.is_one_of:
            chosen = [place[0] if place else next(iter(type_.fields))]
        else:
            one = ONE_OF.get(type_.name)
            chosen = [
                name
                for name, of in type_.fields.items()
                if (name == one and (not place or place[0] == one))
                or is_required_input_field(of)
                or name in SAMPLES
                or (place and place[0] == name)
                or (takes_all and get_named_type(of.type) is GraphQLID)
            ]
        return {
            name: self._value(
                f"{type_.name}.{name}",
                type_.fields[name],
                place[1:] if place and place[0] == name else None,
                id_,
                takes_all=takes_all,
            )
            for name in chosen
        }

    def _selection(self, type_: GraphQLOutputType, depth: int) -> str:
        """All fields that need no argument, ``depth`` types deep; each under a name that tells its type, so that the
        types of a union do not clash.
        """
        named: Any = get_named_type(type_)
        if is_leaf_type(named):
            return ""
        if isinstance(named, GraphQLUnionType | GraphQLInterfaceType):
            inner = [f"... on {each.name} {self._selection(each, depth)}" for each in _objects(self.schema, named)]
            return f" {{ __typename {' '.join(inner)} }}"
        fields = [
            f"{named.name}_{name}: {name}{self._selection(of.type, depth - 1)}"
            for name, of in named.fields.items()
            if not any(is_required_argument(argument) for argument in of.args.values())
            and (depth or is_leaf_type(get_named_type(of.type)))
        ]
        return f" {{ {' '.join(fields) or '__typename'} }}"
