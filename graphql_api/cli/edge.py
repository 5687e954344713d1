"""``graphql-api edge``: what an operator deploys at the CDN."""

import os

import click


@click.group()
def edge() -> None:
    """What the CDN has to run."""


@edge.command()
@click.option("--response", is_flag=True, help="The one for viewer responses, which says how browsers take a file.")
def function(*, response: bool) -> None:
    """Print the CloudFront Function (cloudfront-js-2.0) for viewer requests, which refuses revoked links."""
    from graphql_api.edge.function import presentation_function, revocation_function
    from graphql_api.settings import Settings

    if response:
        click.echo(presentation_function(), nl=False)
        return
    some = Settings.read_some(os.environ, "edge_store_failure")
    click.echo(revocation_function(failure=some["edge_store_failure"]), nl=False)
