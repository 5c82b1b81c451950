"""The types of destinations that this package brings along."""

from __future__ import annotations

from cdp_exports.entities.azure_connection import AdlsConnection, AzureBlobConnection
from cdp_exports.entities.capabilities import Capabilities, Proof
from cdp_exports.entities.destination_type import DestinationType
from cdp_exports.entities.gcs_connection import GcsConnection
from cdp_exports.entities.http_connection import HTTP, HttpConnection
from cdp_exports.entities.linkedin_capabilities import COMPANIES, CONTACTS
from cdp_exports.entities.linkedin_connection import LinkedInCompaniesConnection, LinkedInContactsConnection
from cdp_exports.entities.local_connection import LocalConnection
from cdp_exports.entities.s3_connection import S3Connection
from cdp_exports.entities.sftp_connection import SftpConnection

_FORMATS = frozenset({"parquet", "json", "csv"})
_STORED = Capabilities(proof=Proof.STORED, formats=_FORMATS, conditional_create=True)
_TRANSPORT = Capabilities(proof=Proof.TRANSPORT, formats=_FORMATS, conditional_create=True)
_REREAD = Capabilities(proof=Proof.REREAD, formats=_FORMATS, conditional_create=True)
_LINKEDIN = (
    "type: linkedin_{}\naccount_id: '502840441'\nsource_platform: ACME_CDP\nclient_id: {{env: LINKEDIN_CLIENT_ID}}\n"
    "client_secret: {{env: LINKEDIN_CLIENT_SECRET}}\nrefresh_token: {{env: LINKEDIN_REFRESH_TOKEN}}\n"
)

BUILT_IN: tuple[DestinationType, ...] = (
    DestinationType(
        LocalConnection,
        _REREAD,
        "cdp_exports.destinations.local:open_local",
        "A folder of this machine or of a mounted share",
        example="type: local\nfolder: outbox\n",
    ),
    DestinationType(
        S3Connection,
        _STORED,
        "cdp_exports.destinations.s3:open_s3",
        "Amazon S3, or a store that speaks its protocol",
        extra="s3",
        example="type: s3\nbucket: acme-exports\nfolder: cdp\nregion: eu-west-3\n"
        "access_key_id: {env: LAKE_KEY_ID}\nsecret_access_key: {env: LAKE_SECRET}\n",
    ),
    DestinationType(
        AzureBlobConnection,
        _TRANSPORT,
        "cdp_exports.destinations.azure:open_azure",
        "Azure Blob Storage",
        example="type: azure_blob\naccount: acmeexports\ncontainer: cdp\nsas_token: {env: AZURE_SAS}\n",
    ),
    DestinationType(
        AdlsConnection,
        _TRANSPORT,
        "cdp_exports.destinations.azure:open_azure",
        "Azure Data Lake Storage Gen2",
        example="type: adls\naccount: acmelake\ncontainer: cdp\ntenant_id: 7f0c1b52-0000-0000-0000-000000000000\n"
        "client_id: 1c9ad0a4-0000-0000-0000-000000000000\nclient_secret: {env: AZURE_SECRET}\n",
    ),
    DestinationType(
        GcsConnection,
        _STORED,
        "cdp_exports.destinations.gcs:open_gcs",
        "Google Cloud Storage",
        extra="gcs",
        example="type: gcs\nbucket: acme-exports\nfolder: cdp\nservice_account_key: {env: GOOGLE_KEY}\n",
    ),
    DestinationType(
        SftpConnection,
        _REREAD,
        "cdp_exports.destinations.sftp:open_sftp",
        "A folder of an SFTP server",
        extra="sftp",
        example="type: sftp\nhost: files.partner.com\nuser: acme\nfolder: inbox\nprivate_key: {env: PARTNER_KEY}\n"
        "host_key_fingerprint: SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU\n",
    ),
    DestinationType(
        HttpConnection,
        HTTP,
        "cdp_exports.destinations.http:open_http",
        "An HTTP endpoint of your own that receives members in signed batches",
        extra="http",
        example="type: http\nurl: https://api.partner.com/audiences\nsigning_secret: {env: PARTNER_SIGNING_SECRET}\nrepeat: by_key\n",
    ),
    DestinationType(
        LinkedInContactsConnection,
        CONTACTS,
        "cdp_exports.destinations.linkedin:open_linkedin",
        "LinkedIn Ads: matched audiences of people",
        extra="linkedin",
        example=_LINKEDIN.format("contacts"),
    ),
    DestinationType(
        LinkedInCompaniesConnection,
        COMPANIES,
        "cdp_exports.destinations.linkedin:open_linkedin",
        "LinkedIn Ads: matched audiences of companies",
        extra="linkedin",
        example=_LINKEDIN.format("companies"),
    ),
)
"""In the order in which they are shown."""
