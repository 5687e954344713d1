"""How CloudFront refuses: one code and one message per reason, so that a reader can tell them apart as in production.

Source: captures of CloudFront's answers in public repositories; ``MissingKey`` agrees to the byte with a captured
``Content-Length: 146``.
"""


class Refusal(Exception):
    """The request is not let through. ``body`` is one line of XML, without the RequestId that S3's own errors carry."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.body = (
            f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
        ).encode()


class MissingKey(Refusal):
    """No key id in the URL nor in a cookie, or a text that is no id."""

    def __init__(self) -> None:
        super().__init__("MissingKey", "Missing Key-Pair-Id query parameter or cookie value")


class InvalidKey(Refusal):
    """A key id that nobody trusts."""

    def __init__(self) -> None:
        super().__init__("InvalidKey", "Unknown Key")


class MalformedSignature(Refusal):
    """The signature is not in CloudFront's Base64."""

    def __init__(self) -> None:
        super().__init__("MalformedSignature", "Could not unencode Signature")


class MalformedPolicy(Refusal):
    """The policy cannot be read, or its times are no seconds since 1970 (milliseconds, for instance)."""

    def __init__(self) -> None:
        super().__init__("MalformedPolicy", "Malformed Policy")


class AccessDenied(Refusal):
    """Expired, not yet valid, other address or resource, or the signature does not verify; which one is not told."""

    def __init__(self) -> None:
        super().__init__("AccessDenied", "Access denied")
