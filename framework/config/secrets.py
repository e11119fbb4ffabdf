"""Finds logins in URIs. Settings and command lines are recorded and shown, so they must not contain any."""

import re
from urllib.parse import unquote

# Each starts only where a word does, since trying every letter of a long word would be quadratic.
_SCHEME = re.compile(r"(?<![A-Za-z0-9+.-])[0-9+.-]*([A-Za-z][A-Za-z0-9+.-]*)://")
_SHOWN_URI = re.compile(rf"{_SCHEME.pattern}[^\s'\"<>]+")
_AUTHORITY = re.compile(r"[^/?#\\]*")
_PORT = re.compile(r"(\[.*\]|[^:]*)(:\d*)?")
# A name before @ is no secret in these; elsewhere it may be a token or the id of a key.
_USER_IS_A_NAME = re.compile(r"abfss?|hdfs|viewfs|(postgresql|mysql|mariadb|mssql|oracle)(\+\w+)?")
_SECRET_OPTION = re.compile(r"sig|token|secret|key|pass|pwd|cred|auth|sas|jwt")
_HARMLESS_OPTIONS = ("credential_kind", "blob_storage_authority", "dfs_storage_authority")
_VARIABLES = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "gcs": "GOOGLE_APPLICATION_CREDENTIALS",
    "abfs": "AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET",
    "abfss": "AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET",
    "http": "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
    "https": "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
    "postgresql": "PGPASSWORD",
}


def login_fault(text: str) -> str | None:
    """What to do about a login in a URI, without repeating it; None if the text contains no login.

    >>> login_fault("https://alice:pw@mlflow.example")
    'the URI (https) contains a login; remove it and set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead'
    >>> login_fault("abfss://faces@account.dfs.core.windows.net/runs"), login_fault("s3://bucket/a@b?region=eu")
    (None, None)
    """
    last_at, secret_option = text.rfind("@"), None
    for found in _SCHEME.finditer(text):
        scheme, start = found[1].lower(), found.end()
        if secret_option is None:  # the options of further URIs are among those of the first
            secret_option = _has_secret_option(text[start:])
        authority = _AUTHORITY.match(text, start)
        assert authority is not None
        if secret_option or _has_login(scheme, authority[0], at_later=last_at >= authority.end()):
            variables = _VARIABLES.get(scheme.partition("+")[0], "the environment variables that its client reads")
            return f"the URI ({scheme}) contains a login; remove it and set {variables} instead"
    return None


def without_logins(text: str) -> str:
    """The text with … in place of each URI that contains a login.

    >>> without_logins("cannot reach https://alice:pw@mlflow.example/ now"), without_logins("s3://bucket/runs")
    ('cannot reach https://… now', 's3://bucket/runs')
    """
    return _SHOWN_URI.sub(lambda uri: f"{uri[0].partition('://')[0]}://…" if login_fault(uri[0]) else uri[0], text)


def _has_login(scheme: str, authority: str, *, at_later: bool) -> bool:
    if "@" not in authority:  # an unescaped / in a password ends the authority before the @
        return at_later and _PORT.fullmatch(authority) is None
    user, _, password = unquote(authority.rpartition("@")[0]).partition(":")
    if password:
        return True
    is_name = _USER_IS_A_NAME.fullmatch(scheme) or (scheme in ("gs", "gcs") and user == "anonymous")
    return bool(user) and not is_name


def _has_secret_option(rest: str) -> bool:
    options = (option.partition("=") for option in re.split(r"[?#&;]", rest)[1:])
    named = ((unquote(name).lower(), value) for name, _, value in options)
    return any(value and name not in _HARMLESS_OPTIONS and _SECRET_OPTION.search(name) for name, value in named)
