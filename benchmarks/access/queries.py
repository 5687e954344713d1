"""The page as others would ask for it: naively, and knowing the answer."""

from typing import Final

COLUMNS: Final = (
    "files.id, files.folder_id, files.owner_id, files.name, files.size, files.content_type, files.stored_content_type, "
    "files.sha256, files.object_key, files.created_at, files.updated_at"
)
# Is there a rule of mine, or of a group of mine, that names the file, a folder above it, or a label of it?
_IS_NAMED: Final = """EXISTS (
    SELECT 1 FROM naive_rules WHERE effect = '{effect}' AND subject {among}
    AND (here.path LIKE naive_rules.path || '%' OR resource = files.id OR resource LIKE 'label:%' AND EXISTS (
        SELECT 1 FROM naive_labels WHERE file_id = files.id AND label = resource)))"""


def naive(*, is_admin: bool, has_cursor: bool, is_sqlite: bool) -> str:
    """Every file is asked, newest first, whether it may be read, until the page is full.

    ``$1``: the user and the groups they are in, then the size of the page, then the user; with a cursor, the instant
    and the id after which it begins.
    """
    named = {effect: _IS_NAMED.format(effect=effect, among=_among(is_sqlite)) for effect in ("ALLOW", "DENY")}
    may_read = f"(files.owner_id = $3 OR {named['ALLOW']}) AND NOT {named['DENY']}"
    conditions = [f"(files.owner_id = $3 OR 'admin' {_among(is_sqlite)})" if is_admin else may_read]
    if has_cursor:
        conditions.append("(files.created_at, files.id) < ($4, $5)")
    return (
        f"SELECT {COLUMNS} FROM files JOIN naive_paths AS here ON here.folder_id = files.folder_id "
        f"WHERE {' AND '.join(conditions)} ORDER BY files.created_at DESC, files.id DESC LIMIT $2"
    )


def floor(*, is_sqlite: bool) -> str:
    """The files of the known answer by their ids, ``$1``: no list that is looked up can cost less."""
    return (
        f"SELECT {COLUMNS} FROM files WHERE files.id {_among(is_sqlite)} ORDER BY files.created_at DESC, files.id DESC"
    )


def _among(is_sqlite: bool) -> str:
    return "IN (SELECT value FROM json_each($1))" if is_sqlite else "= ANY ($1)"
