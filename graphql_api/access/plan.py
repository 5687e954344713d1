"""From rules to scopes: which files a list must look at, so that it costs what it shows and not what exists.

The same rules as in ``Standing.may``, turned round: not "may this file be read?" but "where are the files that may?".
An allowed folder with a denied one somewhere below is **carved**: replaced by what is clean around the denial, so that
nothing has to be tested file by file. What cannot be carved stays as a residual test.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from graphql_api.access.standing import Standing
from graphql_api.model.principal import Permission
from graphql_api.model.rule import ROOT, AccessRule, Effect, is_file, is_folder, is_label

Chains = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class ReadPlan:
    """The files that a standing may read: those in ``folders``, ``direct``, ``loose`` or ``files``, but for the denied.

    ``folders``: every file below (the root: every file). No two of them, and no ``direct`` folder, overlap. ``direct``:
    files directly in these folders, not below. ``loose``: the owner's and labels' scopes. ``files``: single files.
    ``loose`` and ``files`` may name what ``folders`` and ``direct`` hold already.

    ``denied_everywhere``: scopes (labels, files, and folders that could not be carved out) whose files are none of
    these. ``denied_folders``: folder scopes that ``folders`` and ``direct`` leave out already, while ``loose`` and
    ``files`` do not.

    ``required``: a folder scope that the files of ``loose`` and ``files`` must be in too (those of ``folders`` and
    ``direct`` are); None: no such condition. ``chains``: the folders that the plan names, each with those above it.
    """

    folders: tuple[str, ...] = ()
    direct: tuple[str, ...] = ()
    loose: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    denied_everywhere: frozenset[str] = frozenset()
    denied_folders: frozenset[str] = frozenset()
    required: str | None = None
    chains: Chains = field(default_factory=dict, compare=False, repr=False)


EVERYTHING = ReadPlan(folders=(ROOT,), chains={ROOT: (ROOT,)})
NOTHING = ReadPlan()


def read_plan(standing: Standing) -> ReadPlan:
    """Translate the rules about READ: exactly the files on which ``standing.may`` allows it."""
    if standing.is_admin:
        return EVERYTHING
    denied = standing.scopes_with(Effect.DENY, Permission.READ).keys()
    if ROOT in denied:
        return NOTHING
    allowed = standing.scopes_with(Effect.ALLOW, Permission.READ).keys() - denied
    chains = {scope: _chain(standing.chains, scope) for scope in (*allowed, *denied) if is_folder(scope)}
    denials = {folder for folder in denied if is_folder(folder) and denied.isdisjoint(chains[folder][1:])}
    tops = _tops(allowed, denied, chains)
    opened, residual = _opened(tops, denials, chains, standing.children)
    folders, direct = _carve(tops, opened, denials, standing.children, chains)
    loose = [scope for scope in allowed if is_label(scope)]
    if standing.user_id is not None:
        loose.append(standing.user_id)
    files = [scope for scope in allowed if is_file(scope)]
    if ROOT in folders:
        loose, files = [], []  # they are in it
    if not (folders or direct or loose or files):
        return NOTHING
    return ReadPlan(
        folders=tuple(sorted(folders)),
        direct=tuple(sorted(direct)),
        loose=tuple(sorted(loose)),
        files=tuple(sorted(files)),
        denied_everywhere=frozenset({scope for scope in denied if not is_folder(scope)} | residual),
        denied_folders=frozenset(denials - residual) if loose or files else frozenset(),
        chains=chains,
    )


def folders_to_open(rules: Iterable[AccessRule], chains: Chains) -> set[str]:
    """The folders whose children ``read_plan`` may need, whichever of ``rules`` apply: those between a folder allowed
    and a folder denied below it, the former included.
    """
    about_reading = [rule.terms for rule in rules if Permission.READ in rule.terms.permissions]
    allowed = {terms.resource for terms in about_reading if terms.effect is Effect.ALLOW and is_folder(terms.resource)}
    denied = {terms.resource for terms in about_reading if terms.effect is Effect.DENY and is_folder(terms.resource)}
    found: set[str] = set()
    for folder in denied:
        chain = _chain(chains, folder)
        for position in range(1, len(chain)):
            if not allowed.isdisjoint(chain[position:]):
                found.add(chain[position])
    return found


def narrow(plan: ReadPlan, chain: Sequence[str]) -> ReadPlan:
    """The plan cut to one folder with all below. ``chain``: that folder first, the root last."""
    folder = chain[0]
    if folder == ROOT:
        return plan
    if not (plan.denied_everywhere | plan.denied_folders).isdisjoint(chain):
        return NOTHING
    chains = {folder: tuple(chain)} | {scope: above for scope, above in plan.chains.items() if folder in above}
    denied_everywhere = frozenset(scope for scope in plan.denied_everywhere if not is_folder(scope) or scope in chains)
    if not set(plan.folders).isdisjoint(chain):
        return ReadPlan(folders=(folder,), denied_everywhere=denied_everywhere, chains=chains)
    return replace(
        plan,
        folders=tuple(scope for scope in plan.folders if scope in chains),
        direct=tuple(scope for scope in plan.direct if scope in chains),
        denied_everywhere=denied_everywhere,
        denied_folders=frozenset(scope for scope in plan.denied_folders if scope in chains),
        required=folder if plan.loose or plan.files else None,
        chains=chains,
    )


def _chain(chains: Chains, scope: str) -> tuple[str, ...]:
    """A folder that went while its rules were being read has no chain; nothing is in it."""
    return chains.get(scope, (scope,))


def _tops(allowed: Set[str], denied: Set[str], chains: Chains) -> set[str]:
    """The allowed folders that are neither at or below a denied one nor below another allowed one."""
    return {
        scope
        for scope in allowed
        if is_folder(scope) and denied.isdisjoint(chains[scope]) and allowed.isdisjoint(chains[scope][1:])
    }


def _opened(
    tops: Set[str], denials: Set[str], chains: Chains, children: Mapping[str, Sequence[str]]
) -> tuple[set[str], set[str]]:
    """The folders on the way from a top down to a denial below it, and the denials that cannot be carved out because
    one of these folders has too many children.
    """
    opened: set[str] = set()
    residual: set[str] = set()
    for denial in denials:
        chain = chains[denial]
        top = next((position for position, folder in enumerate(chain) if folder in tops), 0)
        for folder in reversed(chain[1 : top + 1]):
            if folder not in children:
                residual.add(denial)
                break
            opened.add(folder)
    return opened, residual


def _carve(
    tops: Set[str],
    opened: Collection[str],
    denials: Set[str],
    children: Mapping[str, Sequence[str]],
    chains: dict[str, tuple[str, ...]],
) -> tuple[list[str], list[str]]:
    """What may be read as a whole, and what only directly: the opened folders. Adds the chains of the former."""
    whole: list[str] = []
    direct: list[str] = []
    pending = list(tops)
    while pending:
        folder = pending.pop()
        if folder not in opened:
            whole.append(folder)
            continue
        direct.append(folder)
        for child in children[folder]:
            if child not in denials:
                chains[child] = (child, *chains[folder])
                pending.append(child)
    return whole, direct
