"""What an S3 store's errors mean for a delivery."""

from __future__ import annotations

from collections.abc import Mapping

from cdp_exports.destinations.store_errors import SKEWED, Cause, Vocabulary, not_reached
from cdp_exports.errors import CdpExportsError, DestinationRefused, TransientError

_KEYS = "Correct the connection's credentials."
_RIGHTS = (
    "Allow it s3:ListBucket, s3:ListBucketMultipartUploads, s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload there."
)
_NO_RIGHT = ("these credentials have no right to do this", _RIGHTS)
_KMS = "Correct `kms_key`; it must be in the bucket's region."
_NO_SPACE = ("the store is full", "Free some space or raise the quota.")
_EXPIRED = ("the credentials have expired", "Renew the session token or sign in again.")
_REGION = ("the bucket is in another region", "Set the connection's `region` to the bucket's.")

_TERMINAL: Mapping[str, Cause] = {
    "NoSuchBucket": ("there is no such bucket", "Create it, or correct `bucket`."),
    "InvalidBucketName": ("that is no bucket's name", "Correct `bucket`."),
    "AccessDenied": _NO_RIGHT,
    "AllAccessDisabled": _NO_RIGHT,
    "AccountProblem": _NO_RIGHT,
    "Forbidden": _NO_RIGHT,
    "403": _NO_RIGHT,
    "InvalidAccessKeyId": ("the access key id is unknown", _KEYS),
    "InvalidClientTokenId": ("the access key id is unknown", _KEYS),
    "SignatureDoesNotMatch": ("the secret access key is wrong", _KEYS),
    "InvalidToken": ("the session token is wrong", _KEYS),
    "RequestTimeTooSkewed": SKEWED,
    "RequestExpired": SKEWED,
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "TokenRefreshRequired": _EXPIRED,
    "PermanentRedirect": _REGION,
    "AuthorizationHeaderMalformed": _REGION,
    "IllegalLocationConstraintException": _REGION,
    "EntityTooLarge": ("the file is larger than the store takes", "Split it with `max_rows_per_file`."),
    "QuotaExceeded": _NO_SPACE,
    "XMinioStorageFull": _NO_SPACE,
    "XMinioAdminBucketQuotaExceeded": _NO_SPACE,
    "KMS.NotFoundException": ("there is no such KMS key", _KMS),
    "KMS.DisabledException": ("the KMS key is disabled", "Enable it, or name another as `kms_key`."),
    "KMS.KMSInvalidStateException": ("the KMS key cannot be used in its state", "Look at it in AWS KMS, or name another as `kms_key`."),
    "KMS.AccessDeniedException": ("these credentials may not use the KMS key", "Allow them kms:GenerateDataKey and kms:Decrypt with it."),
    "KeyTooLongError": ("the path is longer than 1024 bytes", "Shorten the export's `path` or `file_name`."),
    "NotImplemented": ("the store cannot do this", "Name a store that offers conditional writes and multipart uploads."),
}

_PASSING: Mapping[str, str] = {
    "BadDigest": "what arrived was not what was sent",
    "XAmzContentSHA256Mismatch": "what arrived was not what was sent",
    "XAmzContentChecksumMismatch": "what arrived was not what was sent",
    "SlowDown": "the store is busy",
    "ServiceUnavailable": "the store is busy",
    "InternalError": "the store failed",
    "RequestTimeout": "the connection was too slow",
    "OperationAborted": "another request was in the way",
    "ConditionalRequestConflict": "another request was in the way",
    "PreconditionFailed": "the object was replaced meanwhile",
    "NoSuchUpload": "the upload was aborted meanwhile",
}

ANSWERS = Vocabulary(
    terminal=_TERMINAL,
    passing=_PASSING,
    no_right=_NO_RIGHT,
    elsewhere=_REGION,
    check="Check the connection's `bucket`, `region` and `endpoint_url`.",
)


def translate_boto(error: Exception, place: str) -> CdpExportsError:
    """What an error of boto3 means."""
    from botocore import exceptions as boto

    if isinstance(error, boto.ClientError):
        answer = error.response
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return ANSWERS.of_answer(answer.get("Error", {}).get("Code", ""), status, place)
    if isinstance(error, (boto.HTTPClientError, boto.ConnectionError)):
        return not_reached(str(error), place)
    if isinstance(error, (boto.MetadataRetrievalError, boto.CredentialRetrievalError)):
        return TransientError(
            f"No credentials could be fetched for {place}: {type(error).__name__}.",
            next_step="Run it again; if it stays, check the machine's role or the profile's `credential_process`.",
        )
    return DestinationRefused(
        f"There are no usable credentials for {place}: {type(error).__name__}.",
        next_step="Set `access_key_id` and `secret_access_key`, name a `profile`, or give the machine a role.",
    )
