"""Signed HTML forms for S3: AWS Signature Version 4 over a POST policy.

Source: Amazon S3 API reference, "POST Policy" and "Authenticating Requests: Browser-Based Uploads Using POST (AWS
Signature Version 4)". The order of conditions and the white space are botocore's, so that forms can be compared.
"""

import json
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from graphql_api.signing.sigv4 import SigningMoment, StoreCredentials, whole_seconds


def sign_post(
    bucket: str,
    key: str,
    fields: Sequence[tuple[str, str]],
    *,
    size: int,
    region: str,
    now: datetime,
    lifetime: timedelta,
    credentials: StoreCredentials,
) -> tuple[tuple[str, str], ...]:
    """All fields of the form, in order; the file comes last, as the field ``file``.

    Every field must be sent exactly as given, and the file must have exactly ``size`` bytes. Both times count in whole
    seconds. Raises ``ValueError`` for a lifetime below 1 s or above 7 days, for a time without a zone, and for a key
    in which S3 would put the file's name.
    """
    if "${filename}" in key:
        raise ValueError("S3 would replace ${filename} in the key.")
    moment = SigningMoment(now, region, credentials)
    expires_at = now.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=whole_seconds(lifetime))
    authentication = [
        ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
        ("x-amz-credential", moment.credential),
        ("x-amz-date", moment.timestamp),
    ]
    if credentials.session_token is not None:
        authentication.append(("x-amz-security-token", credentials.session_token))
    conditions: list[object] = [{name: value} for name, value in fields]
    conditions += [["content-length-range", size, size], {"bucket": bucket}, {"key": key}]
    conditions += [{name: value} for name, value in authentication]
    policy = json.dumps({"expiration": f"{expires_at:%Y-%m-%dT%H:%M:%SZ}", "conditions": conditions})
    encoded = b64encode(policy.encode()).decode()
    return (
        ("key", key),
        *fields,
        *authentication,
        ("policy", encoded),
        ("x-amz-signature", moment.sign(encoded)),
    )
