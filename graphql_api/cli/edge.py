"""``graphql-api edge``: what an operator deploys at the CDN."""

import os

import click


@click.group()
def edge() -> None:
    """What the CDN has to run."""


@edge.command()
def function() -> None:
    """Print the CloudFront Function (cloudfront-js-2.0) that refuses revoked links."""
    from graphql_api.edge.function import revocation_function
    from graphql_api.settings import Settings

    some = Settings.read_some(os.environ, "edge_store_failure")
    click.echo(revocation_function(failure=some["edge_store_failure"]), nl=False)
