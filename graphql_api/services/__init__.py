"""One method = one use case: it checks, decides, owns its transaction, and says in its docstring how it can fail."""

from dataclasses import dataclass

from graphql_api.services.accounts import Accounts
from graphql_api.services.audit_log import AuditLog
from graphql_api.services.bundle_links import BundleLinks
from graphql_api.services.bundles import Bundles
from graphql_api.services.completion import Completion
from graphql_api.services.delivery import Delivery
from graphql_api.services.files import Files
from graphql_api.services.folders import Folders
from graphql_api.services.groups import Groups
from graphql_api.services.health import Health
from graphql_api.services.live import Live
from graphql_api.services.lookout import Lookout
from graphql_api.services.notes import Notes
from graphql_api.services.people import People
from graphql_api.services.policies import Policies
from graphql_api.services.publications import Publications
from graphql_api.services.quotas import Quotas
from graphql_api.services.rates import Rates
from graphql_api.services.rechecks import Rechecks
from graphql_api.services.revocations import Revocations
from graphql_api.services.share_links import ShareLinks
from graphql_api.services.signing_keys import SigningKeys
from graphql_api.services.strays import Strays
from graphql_api.services.traffic import Traffic
from graphql_api.services.upkeep import Upkeep
from graphql_api.services.upload_targets import UploadTargets
from graphql_api.services.uploads import Uploads
from graphql_api.services.versions import Versions
from graphql_api.services.visits import Visits


@dataclass(frozen=True, slots=True)
class Services:
    """All use cases, as the faces receive them."""

    accounts: Accounts
    audit_log: AuditLog
    bundle_links: BundleLinks
    bundles: Bundles
    completion: Completion
    delivery: Delivery
    files: Files
    folders: Folders
    groups: Groups
    health: Health
    live: Live
    lookout: Lookout
    notes: Notes
    people: People
    policies: Policies
    publications: Publications
    quotas: Quotas
    rates: Rates
    rechecks: Rechecks
    share_links: ShareLinks
    signing_keys: SigningKeys
    revocations: Revocations
    strays: Strays
    traffic: Traffic
    upkeep: Upkeep
    upload_targets: UploadTargets
    uploads: Uploads
    versions: Versions
    visits: Visits
