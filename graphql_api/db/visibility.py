"""The access rule as SQL: the same ``Reach`` that ``access`` decides by, so a list shows what a look-up finds."""

from typing import Any

from sqlalchemy import ColumnElement, bindparam, false, true

from graphql_api.access import Reach
from graphql_api.model.principal import Principal


def within(reach: Reach, owner: Any) -> ColumnElement[bool]:
    """True for rows whose ``owner`` column is within ``reach``; bind ``viewer(principal)`` when executing."""
    match reach:
        case Reach.EVERYTHING:
            return true()
        case Reach.OWN:
            return owner == bindparam("viewer_id")  # type: ignore[no-any-return]  # columns of every table come here
        case Reach.NOTHING:
            return false()


def viewer(principal: Principal) -> dict[str, object]:
    """The parameters that ``within`` needs."""
    return {"viewer_id": principal.user_id}
