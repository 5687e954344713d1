"""Who may do what. Pure: no clock, no database.

``standing`` is the meaning of the rules and decides. ``plan`` turns the rules about READ into what a list has to look
at, ``explain`` tells why, ``authority`` says who may change whose rules,
and ``visiting`` what those may read to whom somebody has given a share link. A naive reference in the tests holds them
to one another.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from graphql_api.model.delivery import ReadGrant
from graphql_api.model.file import File


def read_grant(file: File) -> ReadGrant | None:
    """The proof that the one for whom ``file`` was found may download it, or None; nobody may download bytes that are
    not those that were uploaded, or that a scanner has called infected. The only place where a grant is made.
    """
    is_withheld = file.altered_at is not None or file.infected_at is not None
    return None if file.terms is None or is_withheld else ReadGrant(file, file.terms)


def shortened(grant: ReadGrant, *, max_lifetime: timedelta, until: datetime | None = None) -> ReadGrant:
    """The same for less time: for links of at most ``max_lifetime`` that end by ``until``, if not before."""
    terms = grant.terms
    lifetimes = (max_lifetime, terms.max_lifetime or max_lifetime)
    ends = [end for end in (terms.until, until) if end is not None]
    return replace(grant, terms=replace(terms, max_lifetime=min(lifetimes), until=min(ends, default=None)))


def revocable(grant: ReadGrant, by: str) -> ReadGrant:
    """The same grant for a link that can be revoked by what it says of itself."""
    return ReadGrant(grant.file, grant.terms, by)
