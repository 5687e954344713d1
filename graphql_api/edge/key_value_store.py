"""A CloudFront KeyValueStore, from which the function that CloudFront runs reads what is revoked.

The credentials need ``cloudfront-keyvaluestore:DescribeKeyValueStore`` and ``cloudfront-keyvaluestore:UpdateKeys`` on
the store. Requests are signed with SigV4A, for which botocore needs awscrt.

Source: CloudFront API reference, "Amazon CloudFront KeyValueStore".
"""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSRequest
from botocore.config import Config

from graphql_api.edge.control_plane import ControlPlane
from graphql_api.model.revocation import Mark

if TYPE_CHECKING:  # stubs are installed for the checks only
    from mypy_boto3_cloudfront_keyvaluestore import CloudFrontKeyValueStoreClient


class CloudFrontKeyValueStore:
    """A ``RevocationStore``: the KeyValueStore of this ARN. The rest is as for ``ControlPlane``."""

    def __init__(
        self,
        *,
        arn: str,
        endpoint_url: str | None = None,
        access_key_id: str | None = None,
        secret_access_key: str | None = None,
    ) -> None:
        self._arn = arn
        self._endpoint_url = endpoint_url
        self._control = ControlPlane(
            self._connect,
            endpoint_url=endpoint_url,
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
            at_once=1,  # of several writers at once all but one would fail
        )

    async def version(self) -> str:
        """See ``RevocationStore``."""

        def describe(client: "CloudFrontKeyValueStoreClient") -> str:
            return client.describe_key_value_store(KvsARN=self._arn)["ETag"]

        return await self._control.ask("describe", describe)

    async def change(self, version: str, *, put: Mapping[Mark, int], remove: Collection[Mark] = ()) -> str | None:
        """See ``RevocationStore``."""

        def update(client: "CloudFrontKeyValueStoreClient") -> str | None:
            try:
                answer = client.update_keys(
                    KvsARN=self._arn,
                    IfMatch=version,
                    Puts=[{"Key": mark, "Value": str(number)} for mark, number in put.items()],
                    Deletes=[{"Key": mark} for mark in remove],
                )
            except client.exceptions.ConflictException:
                return None
            return answer["ETag"]

        return await self._control.ask("update", update)

    def close(self) -> None:
        """Close the idle connections. Idempotent."""
        self._control.close()

    def _connect(self, session: boto3.Session, config: Config) -> "CloudFrontKeyValueStoreClient":
        client = session.client("cloudfront-keyvaluestore", endpoint_url=self._endpoint_url, config=config)
        if self._endpoint_url is not None:
            client.meta.events.register_first("request-created.cloudfront-keyvaluestore", self._to_endpoint)
        return client

    def _to_endpoint(self, request: AWSRequest, **_event: object) -> None:
        """boto3 puts the account's number before every host; a service that is not Amazon's has one address."""
        request.url = f"{self._endpoint_url}{urlsplit(str(request.url)).path}"
