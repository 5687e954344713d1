"""Who is behind operations, and what these share."""

from datetime import timedelta
from typing import cast

from graphql_api.model.delivery import LinkWish
from graphql_api.model.ids import new_file_id, new_folder_id
from graphql_api.model.principal import ANONYMOUS
from graphql_api.model.revocation import Markable
from graphql_api.schema import Context
from graphql_api.services import Services
from graphql_api.web.authentication import Authenticator
from graphql_api.web.viewers import Viewers
from tests.web.small_app import FewServices
from tests.web.tokens import Clock, secret_policy


def test_operations_of_one_socket_share_the_viewer_and_nothing_that_was_read() -> None:
    clock = Clock()
    services = cast("Services", FewServices())
    viewers = Viewers(services, Authenticator(secret_policy(), clock=clock))
    first = Context(services, ANONYMOUS, client_address="192.0.2.1", request_id="one")
    first.named[Markable(new_file_id(clock()), new_folder_id(clock()), is_personal=False)] = "0.of-then"
    first.wishes[("inline",)] = LinkWish(lifetime=timedelta(hours=1))
    next_ = viewers.next_operation(first)
    assert (next_.principal, next_.client_address, next_.request_id) == (ANONYMOUS, "192.0.2.1", "one")
    assert (next_.named, next_.wishes, next_.cookies) == ({}, {}, [])
