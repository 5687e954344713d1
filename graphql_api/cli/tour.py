"""What ``graphql-api dev`` prints when it is ready: the addresses, and the main job to copy and paste."""

import re
from collections.abc import Mapping
from importlib.resources import files


def tour(values: Mapping[str, str]) -> str:
    """``tour.txt`` with each ``@name@`` replaced; a test runs its commands as they stand."""
    text = (files("graphql_api.cli") / "tour.txt").read_text(encoding="utf-8")
    return re.sub(r"@(graphql|edge|store|data|alice|bob|admin)@", lambda match: values[match[1]], text)
