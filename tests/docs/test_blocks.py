"""Blocks in a language are in that language."""

import json
import subprocess

import pytest
import yaml
from graphql import build_schema, parse, validate

from tests.docs.markdown import ROOT, Block, blocks, documents

SCHEMA = build_schema((ROOT / "schema.graphql").read_text())
BLOCKS = [block for path in documents() for block in blocks(path)]
NOT_RUN = {"kotlin", "swift"}  # nothing here could run them, and the document says so
LANGUAGES = NOT_RUN | {
    "bash",
    "graphql",
    "ini",
    "json",
    "js",
    "mermaid",
    "mjs",
    "python",
    "sh",
    "sql",
    "text",
    "ts",
    "yaml",
}


def of(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages]


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_block_names_a_language_that_is_checked(block: Block) -> None:
    assert block.language in LANGUAGES


@pytest.mark.parametrize("block", of("json"), ids=str)
def test_every_json_block_parses(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", of("yaml"), ids=str)
def test_every_yaml_block_parses(block: Block) -> None:
    yaml.safe_load(block.text)


@pytest.mark.parametrize("block", of("graphql"), ids=str)
def test_every_operation_fits_the_schema(block: Block) -> None:
    assert validate(SCHEMA, parse(block.text)) == []


@pytest.mark.parametrize("block", of("python"), ids=str)
def test_every_python_block_compiles(block: Block) -> None:
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("block", of("bash", "sh"), ids=str)
def test_every_shell_block_has_shell_syntax(block: Block) -> None:
    subprocess.run(["bash", "-n"], input=block.text, text=True, check=True)
