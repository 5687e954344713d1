"""From rules to scopes: which files a list must look at, so that it costs what it shows and not what exists."""

from dataclasses import dataclass

from graphql_api.access.standing import Standing


@dataclass(frozen=True)
class ReadPlan:
    """The files that a standing may read: those in ``folders``, ``direct``, ``loose`` or ``files``, but for the denied.

    ``folders``: every file below (the root: every file). No two of them, and no ``direct`` folder, overlap. ``direct``:
    files directly in these folders, not below. ``loose``: the owner's and labels' scopes. ``files``: single files.

    ``denied_everywhere``: scopes (labels, files, and folders that could not be carved out) whose files are none of
    these. ``denied_folders``: folder scopes that ``folders`` and ``direct`` leave out already, while ``loose`` and
    ``files`` do not.
    """

    folders: tuple[str, ...] = ()
    direct: tuple[str, ...] = ()
    loose: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    denied_everywhere: frozenset[str] = frozenset()
    denied_folders: frozenset[str] = frozenset()


def read_plan(standing: Standing) -> ReadPlan:
    """Translate the rules about READ."""
    raise NotImplementedError
