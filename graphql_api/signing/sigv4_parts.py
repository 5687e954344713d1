"""Presigned UploadPart requests by the thousand: what they have in common is computed once.

Source: Amazon S3 API reference, "UploadPart"; the signature is the one of ``sigv4``, byte for byte.
"""

from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final
from urllib.parse import quote

from graphql_api.signing.sigv4 import QueryPresigner, SigningMoment, StoreCredentials, authentication

CHECKSUM_HEADER: Final = "x-amz-checksum-crc64nvme"


class PartPresigner:
    """Presigns the parts of one upload, all from the same ``now`` and for the same ``lifetime``.

    Each binds the part's length, and its checksum if ``has_checksum``. Raises ``ValueError`` as
    ``QueryPresigner.presign`` does.
    """

    def __init__(
        self,
        presigner: QueryPresigner,
        path: str,
        upload_id: str,
        *,
        has_checksum: bool,
        now: datetime,
        lifetime: timedelta,
        credentials: StoreCredentials,
    ) -> None:
        signed_headers = f"content-length;host;{CHECKSUM_HEADER}" if has_checksum else "content-length;host"
        self._moment = SigningMoment(now, presigner.region, credentials)
        parameters = authentication(self._moment, lifetime, signed_headers, credentials)
        query = "&".join([f"{name}={value}" for name, value in parameters])
        resource = presigner.resource(path)
        # Sorted, the number comes after all that begins with X-Amz, and only the upload's id follows it.
        self._url = f"{presigner.origin}{resource}?{query}&partNumber="
        self._after_number = f"&uploadId={quote(upload_id, '')}"
        self._hash = sha256(f"PUT\n{resource}\n{query}&partNumber=".encode())
        self._after_length = f"\nhost:{presigner.host}\n"
        self._has_checksum = has_checksum
        self._end = f"\n{signed_headers}\nUNSIGNED-PAYLOAD"

    def presign(self, number: int, size: int, checksum: str | None = None) -> str:
        """The URL for part ``number`` of ``size`` bytes; ``checksum`` (base64) is given if and only if
        ``has_checksum``.
        """
        if (checksum is not None) is not self._has_checksum:
            raise ValueError("Either all parts of a presigner have a checksum or none.")
        checksum_line = f"{CHECKSUM_HEADER}:{checksum}\n" if self._has_checksum else ""
        request = self._hash.copy()
        request.update(
            f"{number}{self._after_number}\ncontent-length:{size}{self._after_length}{checksum_line}{self._end}".encode()
        )
        signature = self._moment.sign_request(request.hexdigest())
        return f"{self._url}{number}{self._after_number}&X-Amz-Signature={signature}"
