"""What linters of other people say of ``schema.graphql``: nothing. ``linters/lint.mjs`` has what is off, and why."""

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.schema.test_sdl import COMMITTED
from tests.web.conftest import node_with_packages

LINTERS = Path(__file__).parent / "linters"

FAULTY = '''"""Where to begin."""
type Query {
  """A page of things."""
  things(first: Int): ThingConnection
}

"""Things, a page at a time."""
type ThingConnection {
  """The page."""
  edges: [Thing!]!

  """About the page."""
  pageInfo: PageInfo!
}

"""About a page."""
type PageInfo {
  """Where it ends."""
  endCursor: String
}

"""A thing."""
type Thing {
  """its name."""
  Name: String
}
'''


def lint(schema: Path) -> list[dict[str, Any]]:
    command = [node_with_packages(LINTERS), "lint.mjs", str(schema)]
    ran = subprocess.run(command, cwd=LINTERS, capture_output=True, text=True, timeout=60, check=True)
    found: list[dict[str, Any]] = json.loads(ran.stdout)
    return found


def test_the_schema_is_clean() -> None:
    assert lint(COMMITTED) == []


def test_what_is_faulty_is_found(tmp_path: Path) -> None:
    """Or the test above would say nothing."""
    schema = tmp_path / "schema.graphql"
    schema.write_text(FAULTY)
    assert {each["rule"] for each in lint(schema)} >= {
        "@graphql-eslint/naming-convention",
        "@graphql-eslint/relay-arguments",
        "@graphql-eslint/relay-edge-types",
        "@graphql-eslint/relay-page-info",
        "@graphql-eslint/require-description",
        "graphql-schema-linter/arguments-have-descriptions",
        "graphql-schema-linter/descriptions-are-capitalized",
        "graphql-schema-linter/fields-are-camel-cased",
        "graphql-schema-linter/relay-page-info-spec",
    }
