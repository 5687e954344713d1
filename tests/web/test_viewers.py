"""Who is behind operations, and what these share."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from typing import cast

from graphql_api.model.delivery import LinkWish
from graphql_api.model.ids import UserId, new_file_id, new_folder_id
from graphql_api.model.principal import ANONYMOUS
from graphql_api.model.revocation import Markable
from graphql_api.schema import Context
from graphql_api.services import Services
from graphql_api.web.authentication import Authenticator
from graphql_api.web.viewers import Viewers, viewer_key
from tests.web.small_app import FewServices
from tests.web.tokens import Clock, secret_policy


def test_places_are_counted_as_rates_are() -> None:
    def key(address: str, user_id: UserId | None = None) -> str:
        principal = replace(ANONYMOUS, user_id=user_id, address=ip_address(address))
        return viewer_key(Context(cast("Services", FewServices()), principal, client_address=address, request_id="one"))

    assert key("2001:db8::1") == key("2001:db8::ffff") != key("2001:db8:0:1::1")
    assert key("192.0.2.1") != key("192.0.2.2")
    assert key("192.0.2.1", UserId("user_1")) == key("192.0.2.2", UserId("user_1")) == "user_1"


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
