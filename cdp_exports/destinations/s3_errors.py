"""What an S3 store's errors mean for a delivery. Its answers are never quoted: they may hold signed headers."""

from __future__ import annotations

import re
from collections.abc import Mapping

from cdp_exports.errors import CdpExportsError, DestinationRefused, TransientError

_KEYS = "Correct the connection's credentials."
_RIGHTS = (
    "Allow it s3:ListBucket, s3:ListBucketMultipartUploads, s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload there."
)
_NO_RIGHT = ("these credentials have no right to do this", _RIGHTS)
_NO_SPACE = ("the store is full", "Free some space or raise the quota.")
_EXPIRED = ("the credentials have expired", "Renew the session token or sign in again.")
_REGION = ("the bucket is in another region", "Set the connection's `region` to the bucket's.")
_TLS = ("its certificate is not trusted", "Correct `endpoint_url`, or have the store's certificate signed by a trusted authority.")

_TERMINAL: Mapping[str, tuple[str, str]] = {
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
    "RequestTimeTooSkewed": ("this machine's clock differs from the store's by more than 15 minutes", "Set the clock."),
    "RequestExpired": ("this machine's clock differs from the store's by more than 15 minutes", "Set the clock."),
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

_CODE = re.compile(r"(?:<Code>|\(code: )([A-Za-z0-9.]{1,64})(?:</Code>|\))")
_STATUS = re.compile(r"status code: (\d{3})")


def translate_obstore(error: Exception, place: str) -> CdpExportsError:
    """What an error of obstore means; it tells the store's code and the cause of a lost connection in its text only."""
    text = str(error)
    code, status = _CODE.search(text), _STATUS.search(text)
    if code or status:
        return _answered(code[1] if code else "", int(status[1]) if status else 0, place)
    if "redirect without LOCATION" in text:
        return _refused(_REGION, place)
    if "InvalidCertificate" in text:
        return _refused(_TLS, place)
    return _lost(place)


def translate_boto(error: Exception, place: str) -> CdpExportsError:
    """What an error of boto3 means."""
    from botocore import exceptions as boto

    if isinstance(error, boto.ClientError):
        answer = error.response
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return _answered(answer.get("Error", {}).get("Code", ""), status, place)
    if isinstance(error, boto.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return _refused(_TLS, place)
    if isinstance(error, (boto.HTTPClientError, boto.ConnectionError)):
        return _lost(place)
    if isinstance(error, (boto.MetadataRetrievalError, boto.CredentialRetrievalError)):
        return TransientError(
            f"No credentials could be fetched for {place}: {type(error).__name__}.",
            next_step="Run it again; if it stays, check the machine's role or the profile's `credential_process`.",
        )
    return DestinationRefused(
        f"There are no usable credentials for {place}: {type(error).__name__}.",
        next_step="Set `access_key_id` and `secret_access_key`, name a `profile`, or give the machine a role.",
    )


def _answered(code: str, status: int, place: str) -> CdpExportsError:
    if known := _TERMINAL.get(code):
        return _refused(known, place)
    if why := _PASSING.get(code):
        return TransientError(f"{place}: {why} ({code}).", next_step="Run it again.")
    answer = f"{place} answered {code or 'an error'} (HTTP {status})"
    if status in (401, 403):
        return _refused(_NO_RIGHT, place)
    if status in (408, 409, 412, 425, 429) or status >= 500:
        return TransientError(f"{answer}.", next_step="Run it again; if it stays, ask who runs the store.")
    if status in (301, 307, 308):
        return _refused(_REGION, place)
    return DestinationRefused(f"{answer}.", next_step="Check the connection's `bucket`, `region` and `endpoint_url`.")


def _refused(what: tuple[str, str], place: str) -> DestinationRefused:
    return DestinationRefused(f"{place}: {what[0]}.", next_step=what[1])


def _lost(place: str) -> TransientError:
    return TransientError(
        f"{place} could not be reached or did not answer in time.",
        next_step="Run it again; if it stays, check `endpoint_url` and the network.",
    )
