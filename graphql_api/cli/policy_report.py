"""A plan as people read it at a terminal."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from graphql_api.model.page import MAX_COUNTED
from graphql_api.model.preview import Direction, Preview, PreviewLine
from graphql_api.policyfile import rule_text
from graphql_api.services.policy_files import PolicyPlan, SectionChange
from graphql_api.services.policy_groups import GroupChange


def report(plan: PolicyPlan) -> Iterator[str]:
    """The lines: groups, resources, who gains and who loses what, and the plan's id."""
    if plan.groups:
        yield "Groups"
        for group in plan.groups:
            yield from _group(group, plan)
        yield ""
    changing = [section for section in plan.sections if section.comes or section.goes]
    if changing:
        yield "Resources"
        for section in changing:
            yield from _section(section)
        yield ""
    if others := len(plan.sections) - len(changing):
        yield f"{_many(others, 'resource')} as the file says already."
    if plan.preview is not None:
        yield from _preview(plan.preview, plan)
    if plan.leaves_no_admin:
        yield "Warning: nobody would be left whom a rule makes an administrator"
        yield ""
    yield f"Plan {plan.id}: {_summary(plan)}"


def applied(plan: PolicyPlan) -> str:
    """What to say once it was applied."""
    if not plan.changes_anything:
        return "Nothing to apply: everything is as the file says."
    return f"Applied: {_rules(plan.sections, 'made', 'removed')}; {_many(len(plan.groups), 'group')} changed."


def _summary(plan: PolicyPlan) -> str:
    if not plan.changes_anything:
        return "no change."
    return f"{_rules(plan.sections, 'to make', 'to remove')}; {_many(len(plan.groups), 'group')} to change."


def _rules(sections: Sequence[SectionChange], made: str, removed: str) -> str:
    comes = sum(len(section.comes) for section in sections)
    goes = sum(len(section.goes) for section in sections)
    return f"{_many(comes, 'rule')} {made}, {goes:,} {removed}"


def _group(change: GroupChange, plan: PolicyPlan) -> Iterator[str]:
    claim = f" (claim {change.after.claim})" if change.after.claim else ""
    yield f"  {'+' if change.before is None else '~'} {change.after.name}{claim}"
    if change.before is not None and change.before.name != change.after.name:
        yield f"      was called {change.before.name}"
    if change.before is not None and change.before.claim != change.after.claim:
        yield f"      had {f'the claim {change.before.claim}' if change.before.claim else 'no claim'}"
    yield from (f"      + {name}" for name in sorted(plan.names[user_id] for user_id in change.joins))
    yield from (f"      - {name}" for name in sorted(plan.names[user_id] for user_id in change.leaves))


def _section(section: SectionChange) -> Iterator[str]:
    yield f"  {section.target}"
    yield from (f"    + {text}" for text in sorted(map(rule_text, section.comes)))
    yield from (f"    - {text}" for text in sorted(map(rule_text, section.goes)))
    if section.stays:
        yield f"    = {_many(section.stays, 'rule')} as before"


def _preview(preview: Preview, plan: PolicyPlan) -> Iterator[str]:
    users, things = preview.users_examined, preview.things_examined
    looked_at = f"{_many(users, 'user')}, {_many(things, 'file or folder', 'files and folders')}"
    if not preview.is_exact:
        totals = f"{_total(preview.users_total)} users, {_total(preview.things_total)} files and folders"
        looked_at = f"an even sample: {looked_at} out of {totals}"
    yield f"Who gains and loses ({looked_at})"
    if not preview.lines:
        yield "  nobody gains or loses anything"
    yield from _lines(preview.lines, plan)
    if preview.old_links_expire_by is not None:
        yield f"  links issued before may work until {_text(preview.old_links_expire_by)} for those who lose READ"
    yield ""


def _lines(lines: Iterable[PreviewLine], plan: PolicyPlan) -> Iterator[str]:
    """One for all permissions that somebody gains, or loses, on the same things."""
    alike: dict[tuple[str, Direction, int, int, tuple[str, ...]], list[str]] = {}
    for line in lines:
        key = (plan.names[line.subject], line.direction, line.files, line.folders, line.sample)
        alike.setdefault(key, []).append(line.permission)
    for (name, direction, files, folders, sample), permissions in sorted(alike.items()):
        counts = " and ".join(
            _many(number, thing) for number, thing in ((files, "file"), (folders, "folder")) if number
        )
        things = ", ".join(plan.names[id_] for id_ in sample) + (", …" if files + folders > len(sample) else "")
        verb = "gains" if direction is Direction.GAINS else "loses"
        yield f"  {name} {verb} {', '.join(permissions)} on {counts}: {things}"


def _many(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def _total(number: int) -> str:
    return f"{number:,} or more" if number >= MAX_COUNTED else f"{number:,}"


def _text(instant: datetime) -> str:
    return instant.isoformat(timespec="seconds").replace("+00:00", "Z")
