"""The tables. ``migrations/`` builds them; a test finds no difference between the two.

``Mapped`` classes describe columns; statements run as Core on a connection, and rows leave ``db`` as nouns.
"""

from graphql_api.db.tables.base import Base
from graphql_api.db.tables.bundles import BundleEntryRow, BundleRow
from graphql_api.db.tables.jobs import FailedEventRow, JobRow
from graphql_api.db.tables.people import GroupMemberRow, GroupRow, UserRow
from graphql_api.db.tables.policy import AccessRuleRow, AuditEventRow, IdempotencyKeyRow, PolicyStateRow
from graphql_api.db.tables.publications import PublicationRow
from graphql_api.db.tables.rates import SpentRateRow
from graphql_api.db.tables.revocation import LinkRevocationRow, RecentMoveRow, RevocationCounterRow
from graphql_api.db.tables.sharing import ShareLinkRow
from graphql_api.db.tables.signing_keys import SigningKeyRow
from graphql_api.db.tables.traffic import AccessLogRow, FileTrafficRow, UserTrafficRow
from graphql_api.db.tables.tree import (
    FileMetadataRow,
    FileRow,
    FileScopeRow,
    FileVersionRow,
    FileWordRow,
    FolderEntryRow,
    FolderRow,
)
from graphql_api.db.tables.upkeep import ObjectCheckRow, PeriodicTaskRow
from graphql_api.db.tables.uploads import ObjectDeletionRow, UploadPartRow, UploadRow
from graphql_api.db.tables.usage import FolderGateRow, StorageUsageRow

__all__ = [
    "AccessLogRow",
    "AccessRuleRow",
    "AuditEventRow",
    "Base",
    "BundleEntryRow",
    "BundleRow",
    "FailedEventRow",
    "FileMetadataRow",
    "FileRow",
    "FileScopeRow",
    "FileTrafficRow",
    "FileVersionRow",
    "FileWordRow",
    "FolderEntryRow",
    "FolderGateRow",
    "FolderRow",
    "GroupMemberRow",
    "GroupRow",
    "IdempotencyKeyRow",
    "JobRow",
    "LinkRevocationRow",
    "ObjectCheckRow",
    "ObjectDeletionRow",
    "PeriodicTaskRow",
    "PolicyStateRow",
    "PublicationRow",
    "RecentMoveRow",
    "RevocationCounterRow",
    "ShareLinkRow",
    "SigningKeyRow",
    "SpentRateRow",
    "StorageUsageRow",
    "UploadPartRow",
    "UploadRow",
    "UserRow",
    "UserTrafficRow",
]
