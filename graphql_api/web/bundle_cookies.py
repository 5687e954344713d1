"""The cookies that open a bundle at the CDN, as an answer of this service sets them."""

from typing import Final, Literal

from starlette.responses import Response

from graphql_api.model.delivery import BundleLink, CookieScope, SameSite

_SAME_SITE: Final[dict[SameSite, Literal["strict", "lax", "none"]]] = {
    SameSite.STRICT: "strict",
    SameSite.LAX: "lax",
    SameSite.NONE: "none",
}


def set_cookies(answer: Response, link: BundleLink, scope: CookieScope) -> None:
    """No script reads them, and browsers send them for the bundle's own addresses only.

    Starlette would quote a value that has other characters than those of a cookie; CloudFront's Base64 has none.
    """
    for cookie in link.cookies:
        answer.set_cookie(
            cookie.name,
            cookie.value,
            path=link.path,
            domain=scope.domain,
            expires=link.expires_at,
            secure=scope.is_secure,
            httponly=True,
            samesite=_SAME_SITE[scope.same_site],
        )
