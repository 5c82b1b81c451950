"""What Google Cloud Storage's errors mean for a delivery: https://cloud.google.com/storage/docs/xml-api/reference-status."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from cdp_exports.destinations.store_errors import Cause, Vocabulary, refused
from cdp_exports.errors import CdpExportsError, DestinationRefused, TransientError

_NO_RIGHT: Cause = (
    "these credentials have no right to do this",
    "Grant them the role Storage Object User (roles/storage.objectUser) on the bucket.",
)
_SIGN_IN: Cause = ("the access token is not accepted", "Check that the service account exists and is enabled.")
_BILLING: Cause = ("the bucket's project takes no requests", "Check its billing, and whether the bucket is one where the requester pays.")
_LOCKED: Cause = ("a retention policy or a hold protects the object", "Remove it, or choose a bucket without one.")
_SKEWED: Cause = ("this machine's clock differs from Google's by more than some minutes", "Set the clock.")

_TERMINAL: Mapping[str, Cause] = {
    "NoSuchBucket": ("there is no such bucket", "Create it, or correct `bucket`."),
    "InvalidBucketName": ("that is no bucket's name", "Correct `bucket`."),
    "AccessDenied": _NO_RIGHT,
    "InsufficientQuota": ("the project's quota is used up", "Raise it."),
    "AuthenticationRequired": _SIGN_IN,
    "InvalidSecurity": _SIGN_IN,
    "ExpiredToken": ("the access token has expired", "Run it again; if it stays, set the clock."),
    "AccountProblem": _BILLING,
    "UserProjectAccountProblem": _BILLING,
    "UserProjectMissing": _BILLING,
    "RetentionPolicyNotMet": _LOCKED,
    "ObjectUnderActiveHold": _LOCKED,
    "EntityTooLarge": ("the file is larger than the store takes", "Split it with `max_rows_per_file`."),
    "KeyTooLong": ("the path is longer than 1024 bytes", "Shorten the export's `path` or `file_name`."),
}

_PASSING: Mapping[str, str] = {
    "BadDigest": "what arrived was not what was sent",
    "SlowDown": "the store is busy",
    "RateLimitExceeded": "the store is busy",
    "TooManyRequests": "the store is busy",
    "ServiceUnavailable": "the store is busy",
    "InternalError": "the store failed",
    "OperationAborted": "another request was in the way",
    "PreconditionFailed": "the object was replaced meanwhile",
    "NoSuchUpload": "the upload was aborted meanwhile",
}

ANSWERS = Vocabulary(
    terminal=_TERMINAL,
    passing=_PASSING,
    no_right=_NO_RIGHT,
    elsewhere=("it answered with a redirect", "Correct `endpoint_url`."),
    check="Check the connection's `bucket` and `endpoint_url`.",
)

_SIGN_IN_REFUSED: Sequence[tuple[re.Pattern[str], Cause]] = (
    (re.compile("short-lived token|reasonable timeframe"), _SKEWED),
    (re.compile("Invalid JWT Signature"), ("the service account's key is wrong or was deleted", "Create a new key.")),
    (re.compile("account not found|Invalid email or User ID"), ("there is no such service account", "Create it, or use another's key.")),
    (re.compile("reauth", re.IGNORECASE), ("the credentials have expired", "Sign in again: gcloud auth application-default login.")),
    (re.compile("disabled"), ("the service account is disabled", "Enable it.")),
)


def translate_sign_in(error: Exception, place: str) -> CdpExportsError:
    """What it means that google-auth gave no token."""
    from google.auth import exceptions as google

    if isinstance(error, google.DefaultCredentialsError):
        return DestinationRefused(
            f"There are no usable credentials for {place}.",
            next_step="Set `service_account_key`, or give the machine application default credentials.",
        )
    said = str(error)
    if cause := next((cause for pattern, cause in _SIGN_IN_REFUSED if pattern.search(said)), None):
        return refused(cause, place)
    if isinstance(error, google.GoogleAuthError) and (error.retryable or isinstance(error, google.TransportError)):
        return TransientError(
            f"No access token could be fetched for {place}: {type(error).__name__}.",
            next_step="Run it again; if it stays, check the network and the credentials.",
        )
    return DestinationRefused(
        f"The sign-in for {place} was refused: {type(error).__name__}.",
        next_step="Check that the service account and its key exist and are enabled.",
    )
