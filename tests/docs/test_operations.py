"""``docs/operations.md``: its files are what AWS takes, and what can run without AWS runs."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.session import get_session
from botocore.validate import ParamValidator

from graphql_api.edge.cloudfront_logs import FIELDS as LOG_FIELDS
from graphql_api.localcloud.access_log import MAX_WAIT
from graphql_api.localcloud.behaviours import BEHAVIOURS
from graphql_api.localcloud.cache import DEFAULT_TTL, MAX_TTL, MIN_TTL
from graphql_api.model.ids import BUNDLES_PREFIX, OBJECT_PREFIX, PUBLISHED_PREFIX
from graphql_api.scanning.clamd import TIMEOUT
from graphql_api.services.sniffing import SNIFFED_BYTES
from graphql_api.settings import Settings
from graphql_api.signing.keyring import SigningKey
from graphql_api.storage.bucket import lifecycle_rules, upload_cors_rule
from tests.clamd import Clamd
from tests.docs.markdown import ROOT, blocks, blocks_in, named_json

OPERATIONS = ROOT / "docs" / "operations.md"
TEXT = OPERATIONS.read_text(encoding="utf-8")
GLOBAL_OPTIONS = {"query", "output", "region"}
SERVICES = {"s3api": "s3"}


JSON = named_json(OPERATIONS)

OUR_KEYS = [f"arn:aws:s3:::your-bucket/{prefix}*" for prefix in (OBJECT_PREFIX, BUNDLES_PREFIX, PUBLISHED_PREFIX)]


def aws_commands() -> list[list[str]]:
    lines = "".join(block.text for block in blocks(OPERATIONS, "sh")).replace("\\\n", " ").splitlines()
    return [shlex.split(line) for line in lines if line.startswith("aws ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands that need no AWS have run."""
    folder = tmp_path_factory.mktemp("operations")
    for block in blocks(OPERATIONS, "bash"):
        subprocess.run(["bash", "-e", "-u", "-c", block.text], cwd=folder, check=True, capture_output=True, timeout=30)
    return folder


def argument(shape: Any, text: str, folder: Path) -> object:
    """What the AWS CLI makes of one argument: a file, shorthand, or the text itself."""
    if text.startswith("file://"):
        name = text.removeprefix("file://")
        content = JSON[name] if name in JSON else (folder / name).read_text()
        return content if shape.type_name == "string" else json.loads(content)
    if shape.type_name in ("structure", "map"):
        pairs = dict(part.split("=", 1) for part in text.split(","))
        return {name: {"true": True, "false": False}.get(value, value) for name, value in pairs.items()}
    return text.split() if shape.type_name == "list" else text


@pytest.mark.parametrize("command", aws_commands(), ids=lambda command: " ".join(command[1:3]))
def test_aws_knows_the_command_and_takes_its_arguments(command: list[str], folder: Path) -> None:
    _, service, name, *rest = command
    session = get_session()
    if name == "wait":
        waiter = session.get_waiter_model(SERVICES.get(service, service))
        assert rest[0].replace("-", "") in {known.lower() for known in waiter.waiter_names}
        return
    model = session.get_service_model(SERVICES.get(service, service))
    operation = next(model.operation_model(known) for known in model.operation_names if xform_name(known, "-") == name)
    assert operation.input_shape
    members = {xform_name(member, "-"): member for member in operation.input_shape.members}
    if service == "cloudfront" and name == "create-invalidation":  # the CLI's own shorthand
        members["paths"] = "InvalidationBatch"
    given = dict(zip(rest[::2], rest[1::2], strict=True))
    parameters: dict[str, object] = {}
    for option, text in given.items():
        option = option.removeprefix("--")
        if option in GLOBAL_OPTIONS:
            continue
        member = members[option]
        if option == "paths":
            parameters[member] = {"CallerReference": "x", "Paths": {"Quantity": 1, "Items": [text]}}
        else:
            parameters[member] = argument(operation.input_shape.members[member], text, folder)
    report = ParamValidator().validate(parameters, operation.input_shape)
    assert not report.has_errors(), report.generate_report()


def counted(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "Quantity" in value:
            yield value
        for inner in value.values():
            yield from counted(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from counted(inner)


@pytest.mark.parametrize("name", JSON)
def test_a_file_parses_and_its_quantities_are_right(name: str) -> None:
    for entry in counted(json.loads(JSON[name])):
        assert entry["Quantity"] == len(entry["Items"])


def test_the_cors_rule_is_the_one_that_targets_need() -> None:
    assert json.loads(JSON["cors.json"]) == {"CORSRules": [upload_cors_rule(["https://app.example.com"])]}


def test_the_lifecycle_is_the_one_of_the_local_bucket() -> None:
    assert json.loads(JSON["lifecycle.json"]) == {"Rules": lifecycle_rules()}


def test_the_cache_key_has_what_links_carry() -> None:
    policy = json.loads(JSON["cache-policy.json"])
    parameters = policy["ParametersInCacheKeyAndForwardedToOrigin"]
    assert parameters["QueryStringsConfig"]["QueryStrings"]["Items"] == list(BEHAVIOURS[-1].forwarded_query)
    assert (policy["MinTTL"], policy["DefaultTTL"], policy["MaxTTL"]) == (MIN_TTL, DEFAULT_TTL, MAX_TTL)


def test_the_distribution_has_the_behaviours_of_the_local_edge() -> None:
    distribution = json.loads(JSON["distribution.json"])
    others = distribution["CacheBehaviors"]["Items"]
    assert distribution["CacheBehaviors"]["Quantity"] == len(others)
    told = {f"/{each['PathPattern']}": each["TrustedKeyGroups"]["Enabled"] for each in others}
    told["*"] = distribution["DefaultCacheBehavior"]["TrustedKeyGroups"]["Enabled"]
    assert told == {each.pattern: each.is_private for each in BEHAVIOURS}
    assert [prefix for prefix in (BUNDLES_PREFIX, PUBLISHED_PREFIX) if f"/{prefix}*" not in told] == []


def test_what_opens_a_whole_bundle_lets_no_query_through() -> None:
    [ours] = [each for each in BEHAVIOURS if each.pattern == f"/{BUNDLES_PREFIX}*"]
    assert ours.forwarded_query == ()
    policy = json.loads(JSON["bundles-cache-policy.json"])
    parameters = policy["ParametersInCacheKeyAndForwardedToOrigin"]
    assert parameters["QueryStringsConfig"] == {"QueryStringBehavior": "none"}
    assert (policy["MinTTL"], policy["DefaultTTL"], policy["MaxTTL"]) == (MIN_TTL, DEFAULT_TTL, MAX_TTL)


def test_both_policies_cover_the_keys_that_objects_have() -> None:
    api = json.loads(JSON["api-policy.json"])["Statement"][0]
    edge = json.loads(JSON["bucket-policy.json"])["Statement"][0]
    assert api["Resource"] == edge["Resource"] == OUR_KEYS
    assert f"first {SNIFFED_BYTES:,} bytes" in TEXT


def test_the_signing_key_of_the_document_is_accepted(folder: Path) -> None:
    pem = (folder / "cdn-private.pem").read_bytes()
    key = SigningKey.from_pem("K2JCJMDEHXQW5F", pem)
    assert json.loads((folder / "public-key.json").read_text())["EncodedKey"] == key.public_pem()
    assert (folder / "cdn-private.pem").stat().st_mode & 0o077 == 0


def test_the_settings_of_the_document_are_accepted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = blocks(OPERATIONS, "ini")
    (folder / "graphql-api.env").write_text(first.text + second.text)
    shown = subprocess.run(
        ["bash", "-e", "-u", "-c", "set -a; . ./graphql-api.env; set +a; env -0"],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    monkeypatch.chdir(folder)
    settings = Settings.read(dict(line.split("=", 1) for line in shown.split("\0") if line))
    assert settings.cdn_private_key_pem.get_secret_value() == (folder / "cdn-private.pem").read_text()
    names = set(re.findall(r"^GRAPHQL_API_\w+(?==)", first.text + second.text, re.MULTILINE))
    required = {field.alias for field in Settings.model_fields.values() if field.is_required()}
    assert required <= names
    assert (
        settings.s3_bucket == json.loads(JSON["distribution.json"])["Origins"]["Items"][0]["DomainName"].split(".")[0]
    )


def test_every_setting_that_the_documents_name_exists() -> None:
    known = {field.alias for field in Settings.model_fields.values()}
    known |= {"GRAPHQL_API_URL", "GRAPHQL_API_TOKEN"}  # those of the client, which is no service
    for document in ("operations", "architecture", "clients"):
        text = (ROOT / "docs" / f"{document}.md").read_text(encoding="utf-8")
        assert set(re.findall(r"GRAPHQL_API_[A-Z0-9_]+", text)) <= known


def test_every_event_of_the_table_is_logged_somewhere() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "graphql_api").rglob("*.py"))
    start = TEXT.index("## Logs")
    rows = re.findall(r"^\| (`.*?) \| (?:INFO|WARNING|ERROR)", TEXT[start:], re.MULTILINE)
    events = [event for row in rows for event in re.findall(r"`([a-z_]+)", row)]
    assert len(events) > 5
    for event in events:
        assert re.search(rf'"{event}\b', source), event


def test_clamd_takes_the_limits_of_the_document(tmp_path: Path) -> None:
    (block,) = blocks_in(OPERATIONS, "clamd", "text")
    limits = dict(line.split() for line in block.text.splitlines())
    assert limits["AlertExceedsMax"] == "yes"
    assert limits["StreamMaxLength"] == limits["MaxFileSize"], "what it takes it also scans"
    clamd = Clamd(tmp_path, block.text)
    clamd.start()
    clamd.kill()
    assert f"after {TIMEOUT:.0f} seconds" in TEXT


def test_guardduty_may_read_what_we_store_and_write_nothing_there() -> None:
    statements = json.loads(JSON["scan-policy.json"])["Statement"]
    scanned = [key for key in OUR_KEYS if PUBLISHED_PREFIX not in key]  # a copy is of bytes that were called clean
    on_objects = [entry for entry in statements if entry["Resource"] == scanned]
    assert [entry["Action"] for entry in on_objects] == [["s3:GetObject", "s3:GetObjectVersion"]]


def test_scan_results_go_where_their_queue_lets_them_in() -> None:
    target = json.loads(JSON["scan-target.json"])[0]["Arn"]
    statement = json.loads(JSON["scan-queue-statement.json"])
    assert statement["Resource"] == target
    rules = [command for command in aws_commands() if command[1:3] == ["events", "put-rule"]]
    names = [rule[rule.index("--name") + 1] for rule in rules if "file://scan-results.json" in rule]
    assert names == [statement["Condition"]["ArnEquals"]["aws:SourceArn"].rpartition(":rule/")[2]]


def test_the_logs_have_the_fields_that_are_read_and_no_others() -> None:
    assert json.loads(JSON["log-fields.json"]) == list(LOG_FIELDS)


def test_logs_go_where_they_are_read() -> None:
    delivered = json.loads(JSON["logs-bucket-policy.json"])["Statement"][0]["Resource"]
    read = [statement["Resource"] for statement in json.loads(JSON["logs-policy.json"])["Statement"]]
    assert read == [delivered, delivered.removesuffix("/*")]
    assert MAX_WAIT == 5, "the text says how long dev's edge takes"


def test_the_examples_stand_in_their_sections() -> None:
    assert len(blocks_in(OPERATIONS, "Signing key", "bash")) == 1
    assert len(blocks_in(OPERATIONS, "Settings", "ini")) == 1
