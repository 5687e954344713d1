"""Access rules as a text that people keep in git: bytes -> ``PolicyDocument`` and back. Pure: names stay names here.

``read`` and ``write`` are inverse to each other: what is written reads as the same document.
"""

from graphql_api.policyfile.document import FileGroup, FileRule, FileSection, Kind, PolicyDocument, Target, Whom
from graphql_api.policyfile.reading import PolicyFile, read
from graphql_api.policyfile.writing import rule_text, write
from graphql_api.policyfile.yaml_tree import MAX_BYTES, Path

__all__ = [
    "MAX_BYTES",
    "FileGroup",
    "FileRule",
    "FileSection",
    "Kind",
    "Path",
    "PolicyDocument",
    "PolicyFile",
    "Target",
    "Whom",
    "read",
    "rule_text",
    "write",
]
