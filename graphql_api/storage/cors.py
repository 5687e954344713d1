"""What a bucket must allow so that a browser on another origin can send what a target asks for."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # stubs are installed for the checks only
    from mypy_boto3_s3.type_defs import CORSRuleTypeDef

PREFLIGHT_LIFETIME: Final = timedelta(hours=1)
"""How long a browser may remember the answer; Chromium caps it at two hours."""


def upload_cors_rule(allowed_origins: Sequence[str]) -> "CORSRuleTypeDef":
    """The one rule that uploads need, as S3's ``PutBucketCors`` takes it; downloads go through the CDN.

    ``allowed_origins`` are such as ``https://app.example.com``; ``*`` lets every site use a target it was given.
    """
    return {
        "ID": "upload",
        "AllowedOrigins": list(allowed_origins),
        "AllowedMethods": ["PUT"],
        "AllowedHeaders": ["content-type", "if-none-match", "x-amz-checksum-sha256"],
        "ExposeHeaders": ["ETag"],
        "MaxAgeSeconds": int(PREFLIGHT_LIFETIME.total_seconds()),
    }
