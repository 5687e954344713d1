"""Who may share what they may not read finds no rule there either."""

from graphql_api.model.ids import new_rule_id
from graphql_api.model.principal import Permission
from graphql_api.model.rule import Scope
from graphql_api.model.rule_change import DeleteRule, UpdateRule
from graphql_api.services.rule_json import tag_of
from tests.services.rulings import outcome, refusal, ruled, wish
from tests.services.stories import foldered
from tests.world import START, World

READ, WRITE, SHARE = Permission.READ, Permission.WRITE, Permission.SHARE


async def test_without_read_a_rule_is_neither_changed_nor_deleted(world: World) -> None:
    alice, sharer = await world.principal("alice"), await world.principal("sharer")
    folder, policies = await foldered(world, alice, "hidden"), world.services.policies
    rule = await ruled(world, alice, wish(sharer, folder.id, WRITE, SHARE))  # which is about the sharer
    for change in (DeleteRule(rule.id, 1), UpdateRule(rule.id, 1, {"permissions": frozenset({WRITE})})):
        for work in (policies.apply, policies.preview):
            assert await refusal(work(sharer, [change])) == ("NOT_FOUND", ("changes", "0", "ruleId"))
    absent = await outcome(policies.delete(sharer, new_rule_id(START), 1))
    assert str(await outcome(policies.delete(sharer, rule.id, 1))) == str(absent)
    assert await refusal(policies.replace(sharer, Scope(folder.id), tag_of([rule]), ())) == ("NOT_FOUND", ("resource",))
    await ruled(world, alice, wish(sharer, folder.id))
    await policies.update(sharer, rule.id, 1, {"permissions": frozenset({SHARE})})
