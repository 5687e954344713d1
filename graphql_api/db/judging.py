"""Which of some candidates may be read and have the wanted labels: the residual tests of a plan, on all scopes of each.

Candidates may come from scopes that do not decide alone: a label that is allowed where a folder is denied, a folder
that the filter names, the next ten thousand names. One look at the scopes of each tells everything.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, case, false, func, or_, select, true

from graphql_api.access.plan import ReadPlan
from graphql_api.db.among import among, texts
from graphql_api.db.candidates import values
from graphql_api.db.tables import FileRow, FileScopeRow
from graphql_api.model.rule import ROOT, is_file


@dataclass(frozen=True)
class Tests:
    """What has to be tested, as far as it changes the text of a statement."""

    is_everything: bool = False
    has_folders: bool = False
    has_direct: bool = False
    has_loose: bool = False
    has_files: bool = False
    has_denied: bool = False
    has_denied_folders: bool = False
    has_required: bool = False
    has_labels: bool = False

    @property
    def needs_rows(self) -> bool:
        return self.has_direct


def tests_of(plan: ReadPlan, *, has_labels: bool) -> Tests:
    is_everything = ROOT in plan.folders
    has_loose = bool(plan.loose or plan.files) and not is_everything
    return Tests(
        is_everything=is_everything,
        has_folders=bool(plan.folders) and not is_everything,
        has_direct=bool(plan.direct) and not is_everything,
        has_loose=bool(plan.loose) and not is_everything,
        has_files=bool(plan.files) and not is_everything,
        has_denied=bool(plan.denied_everywhere),
        has_denied_folders=has_loose and bool(plan.denied_folders or plan.required),
        has_required=plan.required is not None and has_loose,
        has_labels=has_labels,
    )


def test_parameters(plan: ReadPlan, labels: tuple[str, ...]) -> dict[str, object]:
    """``labels``: scopes."""
    return {
        "folders": plan.folders,
        "direct": plan.direct,
        "loose": plan.loose,
        "files": plan.files,
        "denied": [scope for scope in plan.denied_everywhere if not is_file(scope)],
        "denied_files": [scope for scope in plan.denied_everywhere if is_file(scope)],
        "denied_folders": list(plan.denied_folders),
        "required": plan.required,
        "labels": labels,
        "label_count": len(set(labels)),
    }


def passes(tests: Tests, candidates: Any, *, is_sqlite: bool) -> tuple[Any, ColumnElement[bool]]:
    """What has the candidates, and the condition; on ``FileRow`` too, joined by id, if ``tests.needs_rows``.
    ``candidates`` has the column ``id``, each once.
    """
    found = {
        name: func.max(case((condition, 1), else_=0)).label(name)
        for name, condition in _marks(tests, is_sqlite).items()
    }
    if tests.has_labels:
        is_wanted = FileScopeRow.scope.in_(select(values("labels", is_sqlite).c.value))
        found["labelled"] = func.sum(case((is_wanted, 1), else_=0)).label("labelled")
    if not found:
        return candidates, _is_visible(tests, candidates, {})
    its_scopes = FileScopeRow.file_id == candidates.c.id
    if is_sqlite:
        marks_of = select(candidates.c.id, *found.values()).join_from(candidates, FileScopeRow, its_scopes)
        marked = marks_of.group_by(candidates.c.id).cte("marked")
    else:  # PostgreSQL looks at each candidate's scopes, and never reads the whole table to join it
        each = select(*found.values()).where(its_scopes).lateral()
        marked = select(candidates.c.id, *each.c).select_from(candidates.join(each, true())).cte("marked")
    condition = _is_visible(tests, marked, {name: marked.c[name] == 1 for name in found})
    if tests.has_labels:
        condition = and_(condition, marked.c.labelled == bindparam("label_count"))
    return marked, condition


def passes_unsure(tests: Tests, candidates: Any) -> ColumnElement[bool]:
    """The same condition when nothing is denied everywhere: only files that are not sure are tested, one by one.

    ``candidates`` are ``merged_stream``'s, with ``sure``.
    """
    its_scopes = select(FileScopeRow.file_id).where(FileScopeRow.file_id == candidates.c.id).correlate(candidates)
    is_denied = its_scopes.where(among(FileScopeRow.scope, texts("denied_folders"))).exists()
    required = its_scopes.where(FileScopeRow.scope == bindparam("required", type_=FileScopeRow.scope.type)).exists()
    return or_(
        candidates.c.sure == 1,
        and_(
            ~is_denied if tests.has_denied_folders else true(),
            required if tests.has_required else true(),
        ),
    )


def _marks(tests: Tests, is_sqlite: bool) -> dict[str, ColumnElement[bool]]:
    """What is noted about a file when any of its scopes meets the condition."""
    scope = FileScopeRow.scope
    lists = {
        "folders": tests.has_folders,
        "loose": tests.has_loose,
        "denied": tests.has_denied,
        "denied_folders": tests.has_denied_folders,
    }
    # A sub-select is hashed, where PostgreSQL would compare with each element of an array.
    marks: dict[str, ColumnElement[bool]] = {
        name: scope.in_(select(values(name, is_sqlite).c.value)) for name, is_there in lists.items() if is_there
    }
    if tests.has_required:
        marks["required"] = scope == bindparam("required", type_=scope.type)
    return marks


def _is_visible(tests: Tests, candidates: Any, marked: dict[str, ColumnElement[bool]]) -> ColumnElement[bool]:
    is_single = among(candidates.c.id, texts("files")) if tests.has_files else false()
    loose = and_(
        or_(marked.get("loose", false()), is_single),
        ~marked["denied_folders"] if tests.has_denied_folders else true(),
        marked.get("required", true()),
    )
    is_direct = among(FileRow.folder_id, texts("direct")) if tests.has_direct else false()
    visible = true() if tests.is_everything else or_(marked.get("folders", false()), is_direct, loose)
    if tests.has_denied:
        visible = and_(visible, ~marked["denied"], ~among(candidates.c.id, texts("denied_files")))
    return visible
