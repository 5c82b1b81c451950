"""Credentials of an S3 connection: static keys, a profile, or what the machine offers; then a role, if one is named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cdp_exports.entities.s3_connection import S3Connection
from cdp_exports.entities.secret import Secret
from cdp_exports.errors import DeclarationError

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_sts.type_defs import AssumeRoleRequestTypeDef


def open_session(connection: S3Connection, environ: Mapping[str, str]) -> boto3.Session:
    """A boto3 session with the connection's credentials. They are fetched when first used, and renewed before they expire.

    Raises:
        DeclarationError: boto3 is not installed, a variable is not set, the profile is unknown.
    """
    try:
        import boto3
        from botocore.exceptions import ProfileNotFound
    except ImportError:
        raise DeclarationError("S3 connections need boto3.", next_step="Install it: pip install 'cdp-exports[s3]'.") from None

    def reveal(secret: Secret | None) -> str | None:
        return secret.reveal(environ) if secret else None

    try:
        session = boto3.Session(
            aws_access_key_id=reveal(connection.access_key_id),
            aws_secret_access_key=reveal(connection.secret_access_key),
            aws_session_token=reveal(connection.session_token),
            profile_name=connection.profile,
            region_name=connection.region,
        )
    except ProfileNotFound:
        raise DeclarationError(
            f"There is no profile {connection.profile!r} in the AWS configuration of this machine.",
            next_step="Add it there, or correct `profile`.",
        ) from None
    return _assumed(session, connection.role_arn, reveal(connection.external_id)) if connection.role_arn else session


def _assumed(session: boto3.Session, role_arn: str, external_id: str | None) -> boto3.Session:
    import boto3
    import botocore.session
    from botocore.credentials import CredentialProvider, DeferredRefreshableCredentials

    def assume() -> dict[str, Any]:
        request: AssumeRoleRequestTypeDef = {"RoleArn": role_arn, "RoleSessionName": "cdp-exports"}
        if external_id:
            request["ExternalId"] = external_id
        found = session.client("sts").assume_role(**request)["Credentials"]
        return {
            "access_key": found["AccessKeyId"],
            "secret_key": found["SecretAccessKey"],
            "token": found["SessionToken"],
            "expiry_time": found["Expiration"].isoformat(),
        }

    class Assumed(CredentialProvider):
        METHOD = "cdp-exports-role"

        def load(self) -> DeferredRefreshableCredentials:
            return DeferredRefreshableCredentials(refresh_using=assume, method=self.METHOD)

    base = botocore.session.Session()
    base.get_component("credential_provider").insert_before("env", Assumed())
    return boto3.Session(botocore_session=base, region_name=session.region_name)
