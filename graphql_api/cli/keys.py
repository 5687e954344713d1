"""``graphql-api keys list | add | activate | retire``: the keyring that signs links."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from graphql_api.model.signing_key import HashAlgorithm, KeyEntry, KeyPlace, KeyReference

if TYPE_CHECKING:  # what only these commands need is not loaded by `serve`
    from graphql_api.services.signing_keys import SigningKeys

T = TypeVar("T")

REASON = "from the command line"
_SEALED = (
    "Cookies of /f/ and of shared folders were sealed with it, and open nothing from now on. New ones are given as "
    "soon as GRAPHQL_API_SHARED_SECRET is set, or another key in the settings, and every process has been restarted."
)


@click.group()
def keys() -> None:
    """Change the key that signs links, without breaking one."""


@keys.command("list")
def list_() -> None:
    """Show the keyring, the oldest key first."""
    entries = _run(lambda signing_keys: signing_keys.list(None))
    rows = [("KEY", "STATUS", "SINCE", "ITS LINKS END BY", "KEPT AT"), *map(_row, entries)]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        click.echo("  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[4]]))


@keys.command()
@click.argument("key_pair_id", metavar="KEY")
@click.option(
    "--file", type=click.Path(path_type=Path), help="File with the private key, where every process finds it."
)
@click.option("--env", "variable", metavar="NAME", help="Environment variable with the private key.")
@click.option("--secret", metavar="ARN", help="Secret of AWS Secrets Manager whose text is the private key.")
@click.option("--kms", metavar="ARN", help="Key of AWS KMS that signs there; RSA_2048 only, and slow.")
@click.option(
    "--hash",
    "hash_algorithm",
    type=click.Choice([each.value for each in HashAlgorithm]),
    default=HashAlgorithm.SHA256.value,
    show_default=True,
    help="Hash inside the signature.",
)
def add(
    key_pair_id: str, file: Path | None, variable: str | None, secret: str | None, kms: str | None, hash_algorithm: str
) -> None:
    """Add a key that is to sign. KEY is the CDN's id of its public half."""
    named = {
        KeyPlace.FILE: None if file is None else str(file.absolute()),
        KeyPlace.ENVIRONMENT: variable,
        KeyPlace.SECRETS_MANAGER: secret,
        KeyPlace.KMS: kms,
    }
    given = [KeyReference(place, name) for place, name in named.items() if name is not None]
    if len(given) != 1:
        raise click.UsageError("say where the private key is: --file, --env, --secret or --kms")
    algorithm = HashAlgorithm(hash_algorithm)
    entry = _run(lambda signing_keys: signing_keys.add(None, key_pair_id, given[0], algorithm))
    click.echo(f"{entry.key_pair_id} is PENDING. Its public half, for the CDN:")
    click.echo(entry.public_pem, nl=False)


@keys.command()
@click.argument("key_pair_id", metavar="KEY")
@click.option("--reason", default=REASON, help="For the audit log.")
@click.option("--now", "is_immediate", is_flag=True, help="Retire the old key at once, which breaks its links.")
def activate(key_pair_id: str, *, reason: str, is_immediate: bool) -> None:
    """Let KEY sign from now on, once the edge has let through what it signs."""
    rotation = _run(
        lambda signing_keys: signing_keys.rotate(None, key_pair_id, reason=reason, is_immediate=is_immediate)
    )
    click.echo(f"{rotation.active.key_pair_id} is ACTIVE.")
    old = rotation.retiring
    if old is not None and is_immediate:
        click.echo(_broken(old))
    elif old is not None:
        click.echo(f"{old.key_pair_id} is RETIRING: leave it at the edge until {_time(old.retires_at)}.")


@keys.command()
@click.argument("key_pair_id", metavar="KEY")
@click.option("--reason", default=REASON, help="For the audit log.")
@click.option("--now", "is_immediate", is_flag=True, help="Even if links live that it signed, which breaks them.")
def retire(key_pair_id: str, *, reason: str, is_immediate: bool) -> None:
    """Take KEY out of use for good."""
    entry = _run(lambda signing_keys: signing_keys.retire(None, key_pair_id, reason=reason, is_immediate=is_immediate))
    click.echo(_broken(entry))


def _broken(entry: KeyEntry) -> str:
    """What taking the key from the edge does."""
    said = f"{entry.key_pair_id} is RETIRED: take it from the edge."
    if entry.retires_at is not None and entry.retired_at is not None and entry.retired_at < entry.retires_at:
        said += (
            f" That breaks every link that it signed, the last of which would have lived until "
            f"{_time(entry.retires_at)} at the latest; clients that ask again get new ones."
        )
    if entry.is_distrusted and _seals_with(entry):
        said += f"\n{_SEALED}"
    return said


def _seals_with(entry: KeyEntry) -> bool:
    """Whether it is the key of the settings, and nothing is set to seal cookies with instead."""
    from graphql_api.settings import Settings

    given = Settings.read_some(os.environ, "cdn_key_id", "shared_secret")
    return given["cdn_key_id"] == entry.key_pair_id and given["shared_secret"] is None


def _row(entry: KeyEntry) -> tuple[str, str, str, str, str]:
    since = entry.retired_at or entry.activated_at or entry.created_at
    return (
        entry.key_pair_id,
        entry.status.value,
        _time(since),
        _time(entry.retires_at),
        str(entry.reference),
    )


def _time(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _run(work: "Callable[[SigningKeys], Awaitable[T]]") -> T:
    """What ``work`` comes to, with the settings and the database that the environment names."""
    from graphql_api.bootstrap import assemble
    from graphql_api.db.migration import require_newest_schema
    from graphql_api.settings import Settings
    from graphql_api.web.logs import configure_logging

    settings = Settings.read(os.environ)
    configure_logging(settings.log_level, settings.log_format)

    async def run() -> T:
        assembly = assemble(settings)
        try:
            await require_newest_schema(assembly.database)
            await assembly.keys.keyring.take_in()  # the first command may come before the first process
            return await work(assembly.services.signing_keys)
        finally:
            await assembly.close()

    return asyncio.run(run())
