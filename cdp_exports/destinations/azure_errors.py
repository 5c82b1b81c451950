"""What Azure's errors mean for a delivery: https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from cdp_exports.destinations.store_errors import SKEWED, Cause, Vocabulary

_SIGN_IN = "Correct the connection's credentials."
_ROLE = (
    "Give it the role Storage Blob Data Contributor on the container, or have a shared access signature issued with the rights "
    "read, create, write, delete and list."
)
_NO_RIGHT: Cause = ("these credentials have no right to do this", _ROLE)
_WRONG_KEY: Cause = ("the account key or the signature made with it is wrong", _SIGN_IN)
_NO_CONTAINER: Cause = ("there is no such container", "Create it, or correct `container`.")
_NETWORK: Cause = ("the account's network rules keep this machine out", "Let this machine's address in, or use a private endpoint.")
_FOLDER: Cause = ("a folder has the name of the file", "Change the export's `path` or `file_name`.")
_LOCKED: Cause = ("a lease or a policy protects the file", "End the lease, or choose a container without a retention policy.")

EXPIRED: Cause = ("the shared access signature is not valid now", "Issue a new one; its start and end are in UTC.")
ALTERED = re.compile("Md5Mismatch|contentMD5 doesn't match")  # Azurite has words of its own
NO_CONTAINER = re.compile("ContainerNotFound|specified container does not exist")

_TERMINAL: Mapping[str, Cause] = {
    "ContainerNotFound": _NO_CONTAINER,
    "ContainerDisabled": _NO_CONTAINER,
    "AccountIsDisabled": ("the storage account is disabled", "Enable it, or name another."),
    "AuthenticationFailed": _WRONG_KEY,
    "AuthorizationFailure": _WRONG_KEY,
    "AuthorizationPermissionMismatch": _NO_RIGHT,
    "AuthorizationResourceTypeMismatch": _NO_RIGHT,
    "AuthorizationServiceMismatch": _NO_RIGHT,
    "InsufficientAccountPermissions": _NO_RIGHT,
    "AuthorizationSourceIPMismatch": _NETWORK,
    "AuthorizationProtocolMismatch": ("the signature is for https only", "Use https in `endpoint_url`."),
    "KeyBasedAuthenticationNotPermitted": (
        "the account takes no keys",
        "Sign in as a service principal or with a managed identity.",
    ),
    "NoAuthenticationInformation": ("the account takes no anonymous requests", _SIGN_IN),
    "InvalidAuthenticationInfo": (
        "the token is not accepted",
        "Check the tenant, and outside the public cloud `authority_url`.",
    ),
    "InvalidResourceName": ("that is no container's name", "Correct `container`."),
    "LeaseIdMissing": _LOCKED,
    "BlobImmutableDueToPolicy": _LOCKED,
    "BlobArchived": ("the file is archived", "Rehydrate it, or deliver into another folder."),
    "BlobTypeNotSupported": ("the account is of a kind that takes no block blobs", "Name another account."),
    "ResourceTypeMismatch": _FOLDER,
    "DirectoryIsNotEmpty": _FOLDER,
    "OperationNotSupportedOnDirectory": _FOLDER,
}

_PASSING: Mapping[str, str] = {
    "Md5Mismatch": "what arrived was not what was sent",
    "ServerBusy": "the store is busy",
    "TooManyRequests": "the store is busy",
    "OperationTimedOut": "the store was too slow",
    "InternalError": "the store failed",
    "ConditionNotMet": "the file was replaced meanwhile",
    "InvalidBlockList": "parts of the upload are gone",
    "InvalidBlobOrBlock": "parts of the upload are gone",
    "ContainerBeingDeleted": "the container is being deleted",
    "AccountBeingCreated": "the account is being created",
}

_TOLD: Sequence[tuple[re.Pattern[str], Cause]] = (
    (re.compile("Lifetime validation failed"), ("the access token has expired", "Run it again; if it stays, set the clock.")),
    (re.compile("not valid in the specified time frame|Signature not valid in|has expired"), EXPIRED),
    (re.compile(r"date header (in the request is incorrect|too old)"), SKEWED),
    (re.compile(r"AADSTS7000215"), ("the service principal's secret is wrong", "Correct `client_secret`: the secret's value, not its id.")),
    (re.compile(r"AADSTS7000222"), ("the service principal's secret has expired", "Issue a new one.")),
    (re.compile(r"AADSTS(700016|700213)"), ("the tenant does not know this application", "Correct `client_id` or `tenant_id`.")),
    (re.compile(r"AADSTS(90002|900023)"), ("there is no such tenant", "Correct `tenant_id`.")),
    (re.compile(r"AADSTS700024"), SKEWED),
    (re.compile(r"AADSTS|invalid_client|unauthorized_client"), ("the sign-in was refused", _SIGN_IN)),
    (NO_CONTAINER, _NO_CONTAINER),
    (re.compile("There is currently a lease on the blob|immutable due to a policy"), _LOCKED),
    (re.compile("Identity not found"), ("the machine has no such managed identity", "Assign it one, or correct `client_id`.")),
    # a firewall's answer at Azure; Azurite answers the same to a wrong key, with other words
    (re.compile(r"AuthorizationFailure</Code>\s*<Message>This request is not authorized"), _NETWORK),
)

ANSWERS = Vocabulary(
    terminal=_TERMINAL,
    passing=_PASSING,
    no_right=_NO_RIGHT,
    elsewhere=("it answered with a redirect", "Correct `endpoint_url`."),
    check="Check the connection's `account`, `container` and `endpoint_url`.",
    told=_TOLD,
)
