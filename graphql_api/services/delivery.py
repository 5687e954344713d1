"""From grants to signed addresses: arithmetic only, so that a page of a hundred costs no database and no network."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network

from graphql_api.access import read_grant, revocable
from graphql_api.errors import InputFault, InvalidInput
from graphql_api.model.delivery import ContentDisposition, Link, LinkWish, ReadGrant
from graphql_api.model.file import File
from graphql_api.model.revocation import PARAMETER
from graphql_api.model.rule import ReadTerms
from graphql_api.services.clock import Clock
from graphql_api.services.content_disposition import content_disposition
from graphql_api.services.link_memo import Kept, LinkKey, LinkMemo
from graphql_api.services.windows import Windows
from graphql_api.signing import UrlSigner


class Delivery:
    """Signs links. ``max_lifetime`` bounds every one of them; ``window`` is what their end is rounded to; ``memory``:
    how many bytes may be taken to remember them. ``is_revocable``: none is signed that does not say by what it can be
    revoked.
    """

    def __init__(
        self,
        signer: UrlSigner,
        clock: Clock,
        *,
        max_lifetime: timedelta,
        window: timedelta,
        memory: int,
        is_revocable: bool = False,
    ) -> None:
        self._signer = signer
        self._clock = clock
        self._longest = _seconds(max_lifetime)
        self._windows = Windows(window)
        self._memo = LinkMemo(memory)
        self._is_revocable = is_revocable

    def grant(self, file: File) -> ReadGrant | None:
        """The proof that the one for whom ``file`` was found may download it, or None."""
        return read_grant(file)

    def revocable(self, grant: ReadGrant, by: str) -> ReadGrant:
        """The grant for a link that says it can be revoked ``by`` that; ``Revocations`` tells what it is."""
        return revocable(grant, by)

    def sign(self, grants: Iterable[ReadGrant], wish: LinkWish) -> list[Link]:
        """A link for each grant, on its terms. The lifetime counts from now, is clamped and then rounded up;
        ``expires_at`` tells, and is never past the longest lifetime or the end of what the terms rest on.

        Whoever asks for the same on the same terms gets the same link for a window, byte for byte, from any process
        with the same settings.

        Raises: InvalidInput: at ``ipAddress`` or ``startsAt``, when the CDN cannot bind it or the terms forbid it.
        """
        now = int(self._clock().timestamp())
        links, terms, order = [], None, ""
        for grant in grants:
            if self._is_revocable and grant.revocable_by is None:
                raise ValueError("This link could not be revoked.")
            file = grant.file
            if grant.terms is not terms:
                terms = grant.terms
                order = self._order(wish, terms)
            # All that the link depends on but time: an object's key belongs to one file and one stored type for good.
            key: LinkKey = (order, file.object_key, file.name, file.content_type)
            if grant.revocable_by is not None:
                key = (*key, grant.revocable_by)
            kept = self._memo.young.get(key)
            if kept is None or not kept.since <= now < kept.until:
                kept = self._kept(key, grant, wish, now)
            links.append(kept.link)
        return links

    def _order(self, wish: LinkWish, terms: ReadTerms) -> str:
        """What is asked for and allowed, as one text: a dictionary finds it quicker than nouns."""
        return (
            f"{self._signer.key_pair_id} {_seconds(wish.lifetime)} {wish.disposition} {wish.filename!r} "
            f"{wish.ip_range!r} {_second(wish.starts_at)} {_second(terms.until)} "
            f"{terms.max_lifetime} {terms.ip_range} {terms.forces_download}"
        )

    def _kept(self, key: LinkKey, grant: ReadGrant, wish: LinkWish, now: int) -> Kept:
        kept = self._memo.recall(key)
        if kept is None or not kept.since <= now < kept.until:
            kept = self._made(grant, wish, now)
            self._memo.remember(key, kept)
        return kept

    def _made(self, grant: ReadGrant, wish: LinkWish, now: int) -> Kept:
        file, terms = grant.file, grant.terms
        longest = self._longest if terms.max_lifetime is None else min(self._longest, _seconds(terms.max_lifetime))
        lifetime = min(max(1, _seconds(wish.lifetime)), longest)
        starts_at = _second(wish.starts_at)
        if starts_at is not None and starts_at >= now + lifetime:
            # Rounding would let it open, or not, as it happens.
            raise InvalidInput(InputFault("The link would not open before it ends.", ("startsAt",)))
        times = self._windows.times(
            now,
            lifetime=lifetime,
            longest=longest,
            until=_second(terms.until),
            file_id=file.id,
        )
        disposition = ContentDisposition.ATTACHMENT if terms.forces_download else wish.disposition
        query = [("response-content-disposition", content_disposition(disposition, wish.filename or file.name))]
        if file.content_type != file.stored_content_type:
            query.append(("response-content-type", file.content_type))
        if grant.revocable_by is not None:
            query.append((PARAMETER, grant.revocable_by))
        signed = self._signer.sign(
            "/" + file.object_key,
            query,
            expires_at=_moment(times.expires_at),
            starts_at=wish.starts_at,
            ip_range=wish.ip_range if terms.ip_range is None else _within(terms.ip_range, wish.ip_range),
        )
        link = Link(
            signed.url,
            signed.expires_at,
            _moment(times.refresh_after),
            f"{file.id}/{file.object_key}",
            signed.key_pair_id,
            signed.has_custom_policy,
        )
        return Kept(link, since=now, until=times.changes_at)


def _seconds(span: timedelta) -> int:
    return span.days * 86_400 + span.seconds + (span.microseconds > 0)


def _second(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _within(bound: str, wished: str | None) -> str:
    """What both allow: the terms bind the link to ``bound``. Raises: InvalidInput: nothing does."""
    if wished is None:
        return bound
    ours = IPv4Network(bound)
    try:
        theirs = IPv4Network(wished)
    except ValueError:
        return wished  # the signer says what is wrong with it
    if theirs.subnet_of(ours):
        return wished
    if ours.subnet_of(theirs):
        return bound
    raise InvalidInput(InputFault("the rule that allows this link binds it to another address", ("ipAddress",)))
