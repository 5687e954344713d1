"""What a bucket must be told: whose pages may send what targets ask for, and what it clears away by itself."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # stubs are installed for the checks only
    from mypy_boto3_s3.type_defs import CORSRuleTypeDef, LifecycleRuleTypeDef

PREFLIGHT_LIFETIME: Final = timedelta(hours=1)
"""How long a browser may remember the answer; Chromium caps it at two hours."""

ABORT_INCOMPLETE_AFTER: Final = timedelta(days=8)
"""More than the longest life of an upload, or the store would take the parts away from one that is still going on."""


def upload_cors_rule(allowed_origins: Sequence[str]) -> "CORSRuleTypeDef":
    """The one rule that uploads need, as S3's ``PutBucketCors`` takes it; downloads go through the CDN.

    ``allowed_origins`` are such as ``https://app.example.com``; ``*`` lets every site use a target it was given.
    POST is for forms; with PUT, GET and DELETE a page can drive an upload in parts itself.
    """
    return {
        "ID": "upload",
        "AllowedOrigins": list(allowed_origins),
        "AllowedMethods": ["PUT", "POST", "GET", "DELETE"],
        "AllowedHeaders": [
            "content-type",
            "if-none-match",
            "x-amz-checksum-sha256",
            "x-amz-checksum-crc64nvme",
            "x-amz-checksum-algorithm",
            "x-amz-checksum-type",
        ],
        "ExposeHeaders": ["ETag", "Location", "x-amz-checksum-crc64nvme"],
        "MaxAgeSeconds": int(PREFLIGHT_LIFETIME.total_seconds()),
    }


def lifecycle_rules() -> "list[LifecycleRuleTypeDef]":
    """As S3's ``PutBucketLifecycleConfiguration`` takes them. None removes a current object: the service does that."""
    return [
        {
            "ID": "abort-incomplete",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABORT_INCOMPLETE_AFTER.days},
        },
        {
            "ID": "old-versions",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        },
    ]
