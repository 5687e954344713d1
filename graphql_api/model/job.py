"""Work that a transaction leaves behind for a worker: done after the commit, at least once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphql_api.model.ids import JobId

MAX_KIND_LENGTH = 32  # characters


@dataclass(frozen=True, slots=True)
class Job:
    """A job as one worker holds it: ``lease`` is the proof, and void once somebody else has taken the job.

    ``kind`` says what is to be done, ``subject`` to what; ``payload`` is JSON. ``version`` counts how often it was
    asked for; ``attempts``: how often a worker has taken it, this time included.
    """

    id: JobId
    kind: str
    subject: str
    payload: Mapping[str, Any]
    version: int
    attempts: int
    lease: str = field(repr=False)
