"""Ids as callers write them: whatever is no id of the kind becomes one that no row has."""

from graphql_api.model.ids import (
    FILE_PREFIX,
    FOLDER_PREFIX,
    GROUP_PREFIX,
    RULE_PREFIX,
    SHARE_LINK_PREFIX,
    SIGNING_KEY_PREFIX,
    UPLOAD_PREFIX,
    USER_PREFIX,
    VERSION_PREFIX,
    FileId,
    FolderId,
    GroupId,
    RuleId,
    ShareLinkId,
    SigningKeyId,
    UploadId,
    UserId,
    VersionId,
    well_formed,
)


def file_id(text: str) -> FileId:
    return FileId(well_formed(text, FILE_PREFIX))


def folder_id(text: str) -> FolderId:
    return FolderId(well_formed(text, FOLDER_PREFIX))


def upload_id(text: str) -> UploadId:
    return UploadId(well_formed(text, UPLOAD_PREFIX))


def rule_id(text: str) -> RuleId:
    return RuleId(well_formed(text, RULE_PREFIX))


def group_id(text: str) -> GroupId:
    return GroupId(well_formed(text, GROUP_PREFIX))


def user_id(text: str) -> UserId:
    return UserId(well_formed(text, USER_PREFIX))


def version_id(text: str) -> VersionId:
    return VersionId(well_formed(text, VERSION_PREFIX))


def share_link_id(text: str) -> ShareLinkId:
    return ShareLinkId(well_formed(text, SHARE_LINK_PREFIX))


def signing_key_id(text: str) -> SigningKeyId:
    return SigningKeyId(well_formed(text, SIGNING_KEY_PREFIX))
