"""Keys in AWS Secrets Manager.

The credentials need ``secretsmanager:GetSecretValue`` on the secret, and ``kms:Decrypt`` if it has a key of its own.
"""

from typing import TYPE_CHECKING

from graphql_api.errors import ConfigurationError
from graphql_api.keys import PrivatePem
from graphql_api.keys.aws import AwsAccess

if TYPE_CHECKING:  # stubs are installed for the checks only
    from mypy_boto3_secretsmanager import SecretsManagerClient


class Secrets:
    """Names are ARNs of secrets whose text is the key in PEM."""

    def __init__(self, access: AwsAccess) -> None:
        self._access = access

    async def fetch(self, name: str) -> PrivatePem:
        """See ``KeySource``."""

        def read(client: "SecretsManagerClient") -> str | None:
            return client.get_secret_value(SecretId=name).get("SecretString")

        text = await self._access.ask(name, read)
        if not text:
            raise ConfigurationError(f"the secret {name} holds no text, and so no signing key")
        return PrivatePem(text.strip() + "\n")
