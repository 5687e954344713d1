"""From grants to signed addresses: arithmetic only, so that a page of a hundred costs no database and no network."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from typing import NamedTuple

from graphql_api.access import read_grant, revocable, shortened
from graphql_api.errors import InputFault, InvalidInput, Unavailable
from graphql_api.model.bundle import bundle_of, is_bundle_key, marked_prefix
from graphql_api.model.delivery import ContentDisposition, Link, LinkWish, ReadGrant, SignedUrl
from graphql_api.model.file import File
from graphql_api.model.ids import bundle_prefix
from graphql_api.model.media_type import is_inert
from graphql_api.model.revocation import PARAMETER
from graphql_api.model.rule import ReadTerms
from graphql_api.services.clock import Clock
from graphql_api.services.content_disposition import content_disposition
from graphql_api.services.link_memo import Kept, LinkKey, LinkMemo
from graphql_api.services.link_signing import RemoteSigner, SignerInUse
from graphql_api.services.windows import LinkTimes, Windows
from graphql_api.signing import UnsignedUrl


class _Draft(NamedTuple):
    """A link before its key: what is to be signed, and what is said of the result. ``below``: of a bundle. ``cut_at``:
    as of ``Kept``.
    """

    path: str
    below: str | None
    query: list[tuple[str, str]]
    times: LinkTimes
    ip_range: str | None
    cache_key: str
    cut_at: int | None


class Delivery:
    """Signs links. ``max_lifetime`` bounds every one of them, ``redirect_lifetime`` those that somebody is sent on to;
    ``window`` is what their end is rounded to; ``memory``: how many bytes may be taken to remember them.
    ``is_revocable``: none is signed that does not say by what it can be revoked. ``opens_bundles``: one signature can
    open many objects.
    """

    def __init__(
        self,
        in_use: SignerInUse,
        clock: Clock,
        *,
        max_lifetime: timedelta,
        redirect_lifetime: timedelta,
        window: timedelta,
        memory: int,
        is_revocable: bool = False,
        opens_bundles: bool = True,
    ) -> None:
        self._in_use = in_use
        self._clock = clock
        self._longest = _seconds(max_lifetime)
        self._redirect_lifetime = redirect_lifetime
        self._windows = Windows(window)
        self._memo = LinkMemo(memory)
        self._is_revocable = is_revocable
        self._opens_bundles = opens_bundles

    @property
    def signs_here(self) -> bool:
        """Whether ``sign`` can be asked; else the key is elsewhere, and ``sign_page`` takes one asynchronous step."""
        return self._in_use.elsewhere is None

    def bundle_fault(self, terms: ReadTerms, file: File) -> str | None:
        """Why no link can be made to a bundle on these terms; None for other files. Its links open all of its entries,
        with any query: they cannot say there how a file is presented. For whom they were made they say in the path, if
        the edge's function takes it out.
        """
        if not is_bundle_key(file.object_key):
            return None
        if not self._opens_bundles:
            return "No CDN is in use, and the store has no link that opens all of a bundle."
        if terms.forces_download:
            return (
                "The rule that allows it has the obligation forcesDownload, to which links to a bundle cannot be bound."
            )
        if terms.personal_links and not self._is_revocable:
            return "The rule that allows it has the obligation personalLinks, which takes links that can be revoked."
        return None

    def grant(self, file: File) -> ReadGrant | None:
        """The proof that the one for whom ``file`` was found may download it, or None. There is none to a bundle on
        terms that no link to it can keep, as ``bundle_fault`` tells.
        """
        grant = read_grant(file)
        return None if grant is not None and self.bundle_fault(grant.terms, file) is not None else grant

    def revocable(self, grant: ReadGrant, by: str) -> ReadGrant:
        """The grant for a link that says it can be revoked ``by`` that; ``Revocations`` tells what it is."""
        return revocable(grant, by)

    def sign(self, grants: Iterable[ReadGrant], wish: LinkWish) -> list[Link]:
        """A link for each grant, on its terms. The lifetime counts from now, is clamped and then rounded up;
        ``expires_at`` tells, and is never past the longest lifetime or the end of what the terms rest on.

        Whoever asks for the same on the same terms gets the same link for a window, byte for byte, from any process
        with the same settings.

        Raises: InvalidInput: at ``ipAddress`` or ``startsAt``, when the CDN cannot bind it or the terms forbid it.
        Unavailable: no key of this process may sign, or not here.
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
            if (
                kept is None
                or not kept.since <= now < kept.until
                or (kept.cut_at is not None and kept.cut_at != self._in_use.until)
            ):
                kept = self._kept(key, grant, wish, now)
            links.append(kept.link)
        return links

    async def sign_briefly(self, grant: ReadGrant, *, until: datetime | None = None) -> Link:
        """A link of seconds, on the grant's terms, to redirect to; it ends no later than ``until``.

        Raises: Unavailable: the key cannot be asked.
        """
        lifetime = self._redirect_lifetime
        brief, wish = shortened(grant, max_lifetime=lifetime, until=until), LinkWish(lifetime)
        if self.signs_here:
            (link,) = self.sign([brief], wish)
            return link
        (result,) = await self.sign_page([(brief, wish)])
        if isinstance(result, BaseException):
            raise result
        return result

    async def sign_page(self, wanted: Sequence[tuple[ReadGrant, LinkWish]]) -> list[Link | BaseException]:
        """The same with a key that is elsewhere, for a whole page at once: what is not remembered is signed side by
        side. What ``sign`` raises about one of them stands in its place, and so does Unavailable where a signature was
        not to be had: the others are as good, and remembered.

        Raises: Unavailable: no key of this process may sign, or not any more.
        """
        now = int(self._clock().timestamp())
        remote = self._in_use.elsewhere
        found: dict[LinkKey, Kept | BaseException] = {}
        drafts: dict[LinkKey, tuple[_Draft, UnsignedUrl]] = {}
        keys = []
        for grant, wish in wanted:
            key = self._key(grant, wish)
            keys.append(key)
            if key in found or key in drafts:
                continue
            kept = self._recalled(key, now)
            try:
                if kept is not None:
                    found[key] = kept
                elif remote is None:  # another key has taken over, which is here
                    found[key] = self._kept(key, grant, wish, now)
                else:
                    draft = self._draft(grant, wish, now)
                    unsigned = remote.writer.write(
                        draft.path,
                        draft.query,
                        expires_at=_moment(draft.times.expires_at),
                        starts_at=wish.starts_at,
                        ip_range=draft.ip_range,
                        below=draft.below,
                    )
                    drafts[key] = draft, unsigned
            except InvalidInput as fault:
                found[key] = fault
        if remote is not None:
            made = (self._made_elsewhere(remote, key, *drafts[key], now) for key in drafts)
            found |= zip(drafts, await asyncio.gather(*made, return_exceptions=True), strict=True)
        results = [found[key] for key in keys]
        return [result.link if isinstance(result, Kept) else result for result in results]

    async def _made_elsewhere(
        self, remote: RemoteSigner, key: LinkKey, draft: _Draft, unsigned: UnsignedUrl, now: int
    ) -> Kept:
        """It is remembered at once: whoever waits for the whole page may give up."""
        kept = _kept(draft, unsigned.signed(await remote.signature(unsigned)), now)
        self._memo.remember(key, kept)
        return kept

    def _key(self, grant: ReadGrant, wish: LinkWish) -> LinkKey:
        """As ``sign`` has it, which makes no call for each of a hundred links."""
        file = grant.file
        if self._is_revocable and grant.revocable_by is None:
            raise ValueError("This link could not be revoked.")
        key = (self._order(wish, grant.terms), file.object_key, file.name, file.content_type)
        return key if grant.revocable_by is None else (*key, grant.revocable_by)

    def _order(self, wish: LinkWish, terms: ReadTerms) -> str:
        """What is asked for and allowed, as one text: a dictionary finds it quicker than nouns."""
        return (
            f"{self._in_use.key_pair_id} {_seconds(wish.lifetime)} {wish.disposition} {wish.filename!r} "
            f"{wish.ip_range!r} {_second(wish.starts_at)} {_second(terms.until)} "
            f"{terms.max_lifetime} {terms.ip_range} {terms.forces_download}"
        )

    def _kept(self, key: LinkKey, grant: ReadGrant, wish: LinkWish, now: int) -> Kept:
        kept = self._recalled(key, now)
        if kept is None:
            kept = self._made(grant, wish, now)
            self._memo.remember(key, kept)
        return kept

    def _recalled(self, key: LinkKey, now: int) -> Kept | None:
        """What is remembered and still the right answer: what the key's time has cut is not when that has moved."""
        kept = self._memo.recall(key)
        if kept is None or not kept.since <= now < kept.until:
            return None
        return kept if kept.cut_at is None or kept.cut_at == self._in_use.until else None

    def _made(self, grant: ReadGrant, wish: LinkWish, now: int) -> Kept:
        signer = self._in_use.signer()
        draft = self._draft(grant, wish, now)
        signed = signer.sign(
            draft.path,
            draft.query,
            expires_at=_moment(draft.times.expires_at),
            starts_at=wish.starts_at,
            ip_range=draft.ip_range,
            below=draft.below,
        )
        return _kept(draft, signed, now)

    def _draft(self, grant: ReadGrant, wish: LinkWish, now: int) -> _Draft:
        file, terms = grant.file, grant.terms
        longest = self._longest if terms.max_lifetime is None else min(self._longest, _seconds(terms.max_lifetime))
        lifetime = min(max(1, _seconds(wish.lifetime)), longest)
        starts_at = _second(wish.starts_at)
        if starts_at is not None and starts_at >= now + lifetime:
            # Rounding would let it open, or not, as it happens.
            raise InvalidInput(InputFault("The link would not open before it ends.", ("startsAt",)))
        of_key = self._key_until(now)
        times = self._windows.times(
            now,
            lifetime=lifetime,
            longest=longest,
            until=_second(terms.until),
            signer_until=of_key,
            file_id=file.id,
        )
        cut_at = of_key if times.expires_at == of_key else None
        ip_range = wish.ip_range if terms.ip_range is None else _within(terms.ip_range, wish.ip_range)
        path, cache_key = "/" + file.object_key, f"{file.id}/{file.object_key}"
        if is_bundle_key(file.object_key):
            # Nothing binds a query, so the edge forwards none, and nothing is said in it.
            bundle_id = bundle_of(file.id)
            below = marked_prefix(bundle_id, grant.revocable_by)
            main = below + file.object_key.removeprefix(bundle_prefix(bundle_id))
            return _Draft(main, below, [], times, ip_range, cache_key, cut_at)
        saves = terms.forces_download or not is_inert(file.content_type)  # scripts of a file run nowhere
        disposition = ContentDisposition.ATTACHMENT if saves else wish.disposition
        query = [("response-content-disposition", content_disposition(disposition, wish.filename or file.name))]
        if file.content_type != file.stored_content_type:
            query.append(("response-content-type", file.content_type))
        if grant.revocable_by is not None:
            query.append((PARAMETER, grant.revocable_by))
        return _Draft(path, None, query, times, ip_range, cache_key, cut_at)

    def _key_until(self, now: int) -> int | None:
        """When the key may be taken away, or ends. Raises: Unavailable: it may have been."""
        until = self._in_use.until
        if until is not None and until <= now:
            raise Unavailable("signing key")
        return until


def _kept(draft: _Draft, signed: SignedUrl, now: int) -> Kept:
    times = draft.times
    link = Link(
        signed.url,
        signed.expires_at,
        _moment(times.refresh_after),
        draft.cache_key,
        signed.key_pair_id,
        signed.has_custom_policy,
    )
    return Kept(link, since=now, until=times.changes_at, cut_at=draft.cut_at)


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
