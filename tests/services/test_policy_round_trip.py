"""Random files on a real database: what is applied is what is exported, and what is exported plans to no change."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from graphql_api.model.principal import Permission
from graphql_api.model.rule import Effect, Obligations
from graphql_api.policyfile import FileGroup, FileRule, FileSection, Kind, PolicyDocument, Target, Whom, read, write
from graphql_api.services.policy_files import PolicyFiles
from tests.services.rulefiles import policy_files, with_email
from tests.services.stories import filed, foldered
from tests.world import START, World

ROUNDS = 8
CONTENT = (Permission.READ, Permission.WRITE, Permission.DELETE, Permission.SHARE)
NAMES = ("a", "B b", "ç", "no")


def random_rule(chance: random.Random, target: Target, people: list[Whom]) -> FileRule:
    choice = tuple(Permission) if target.kind == "root" else CONTENT
    effect, permissions = chance.choice(list(Effect)), frozenset(chance.sample(choice, chance.randint(1, len(choice))))
    to = chance.choice([*people, *(Whom(Kind.GROUP, name) for name in NAMES)])
    if chance.random() < 0.2:
        permissions, to = frozenset({Permission.READ}), Whom(chance.choice([Kind.ANYONE, Kind.SIGNED_IN]))
    rule = FileRule(
        effect,
        permissions,
        to,
        chance.choice([None, START - timedelta(days=1), START + timedelta(microseconds=1)]),
        chance.choice([None, START + timedelta(days=1), START + timedelta(days=400)]),
        chance.choice([(), ("10.0.0.0/8",), ("192.0.2.7/32", "2001:db8::/32")]),
    )
    if effect is Effect.ALLOW and Permission.READ in permissions:
        lifetime = chance.choice([None, timedelta(seconds=1), timedelta(days=365)])
        rule = replace(rule, obligations=Obligations(lifetime, chance.random() < 0.5, chance.random() < 0.5))
    return rule


def random_document(chance: random.Random, targets: list[Target], people: list[Whom]) -> PolicyDocument:
    groups = tuple(
        FileGroup(name, chance.choice([None, f"claim {name}"]), tuple(chance.sample(people, chance.randint(0, 2))))
        for name in NAMES
    )
    sections = []
    for target in chance.sample(targets, chance.randint(1, len(targets))):
        rules = [random_rule(chance, target, people) for _ in range(chance.randint(0, 4))]
        sections.append(FileSection(target, tuple({rule.key: rule for rule in rules}.values())))
    return PolicyDocument(groups, tuple(sections))


async def changes(files: PolicyFiles, document: PolicyDocument) -> bool:
    return (await files.plan(read(write(document).encode(), "p.yaml"))).changes_anything


@pytest.mark.parametrize("seed", range(2))
async def test_what_is_applied_is_exported_and_plans_to_no_change(world: World, seed: int) -> None:
    alice = await with_email(world, "alice", "alice@example.com", groups=frozenset({"claim a"}))
    await with_email(world, "bob", "Bob@example.com")
    top = await foldered(world, alice, "Ünder #1")
    await foldered(world, alice, "no", top.id)
    await filed(world, alice, "- a: b.txt", folder_id=top.id)
    targets = [
        Target("root"),
        Target("folder", ("alice",)),
        Target("folder", ("Alice", "ünder #1", "no")),
        Target("file", ("Alice", "Ünder #1", "- a: b.txt")),
        Target("label", label="top secret"),
        Target("label", label="1"),
    ]
    people = [
        Whom(Kind.USER, "alice@example.com"),
        Whom(Kind.SUBJECT, "bob"),
        Whom(Kind.USER, "new@example.com"),
        Whom(Kind.SUBJECT, "12"),
    ]
    chance, files = random.Random(seed), policy_files(world)
    earlier = await files.export(with_homes=True)
    for _ in range(ROUNDS):
        document = random_document(chance, targets, people)
        file = read(write(document).encode(), "p.yaml")
        await files.apply(file, (await files.plan(file)).id)
        assert not await changes(files, document)
        everything = await files.export(with_homes=True)
        assert not await changes(files, everything)
        assert not await changes(files, await files.export())
        assert write(await files.export(with_homes=True)) == write(everything)
        on = {section.target.key: len(section.rules) for section in everything.sections}
        assert all(on.get(it.target.key, 0) == len(it.rules) for it in document.sections)
    everything = await files.export(with_homes=True)
    emptied = PolicyDocument(earlier.groups, tuple(replace(it, rules=()) for it in everything.sections))
    file = read(write(emptied).encode(), "p.yaml")
    await files.apply(file, (await files.plan(file)).id)
    assert (await files.export(with_homes=True)).sections == ()
    file = read(write(everything).encode(), "p.yaml")
    await files.apply(file, (await files.plan(file)).id)
    assert write(await files.export(with_homes=True)) == write(everything)
