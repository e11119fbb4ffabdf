"""The token that Ray asks for on a cluster: sent where it is wanted, and a line where none is."""

import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

from framework.errors import ClusterError
from framework.orchestration.cluster.ray_internals import token_headers, use_token

_MODE = "RAY_AUTH_MODE"
_OTHERS = {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"}  # each names another token than Ray's default file
_FILE = Path(os.environ.get("RAY_AUTH_TOKEN_PATH", "~/.ray/auth_token")).expanduser()


def agree_on_token(address: str, say: Callable[[str], None]) -> None:
    """Sends Ray's token if the cluster asks for one, and says so if it does not.

    Ray itself would retry a wrong token for half a minute. To a cluster without tokens it would send one all the same
    (RAY_AUTH_MODE=token), ask the cluster's processes for it, and report that every actor died.

    Raises:
        ClusterError: The cluster does not accept the token that Ray finds here, or it asks for none although
            RAY_AUTH_MODE=token is set.
    """
    is_open = _accepts(address, {})
    if is_open and os.environ.get(_MODE, "").lower() == "token":
        raise ClusterError(
            f"RAY_AUTH_MODE=token: the Ray cluster at {address} asks for no token; "
            "start it with one (docs/cluster.md, Access)"
        )
    if is_open:
        say(
            f"Ray: the cluster at {address} asks for no token, so whoever reaches it can run code on every node; "
            "docs/cluster.md (Access) says how to start it with one"
        )
        return
    use_token()
    sent = token_headers()
    if sent is not None and _accepts(address, sent) is False:
        which = "of RAY_AUTH_TOKEN" if "RAY_AUTH_TOKEN" in os.environ else f"of {_FILE}"
        raise ClusterError(
            f"the Ray cluster at {address} does not accept this token ({which if sent else 'none'}); "
            "`ray get-auth-token` on its head node prints the right one, RAY_AUTH_MODE=token sends it"
        )


def make_private_token() -> None:
    """Makes the token of an embedded Ray, if there is none yet. Ray would make it too, but readable by everyone."""
    if os.environ.get(_MODE, "token").lower() != "token" or _OTHERS & os.environ.keys() or _FILE.exists():
        return
    with contextlib.suppress(OSError):  # then Ray makes it, or says why it cannot
        _FILE.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=_FILE.parent) as made:  # mode 0600
            made.write(secrets.token_hex(32))
            made.flush()
            os.link(made.name, _FILE)  # complete from the start, and never in place of another job's


def _accepts(address: str, headers: dict[str, str]) -> bool | None:
    """Whether the cluster accepts a request with these headers; None after another error, which Ray reports itself."""
    import grpc

    metadata = tuple((name.lower(), value) for name, value in headers.items())
    with grpc.insecure_channel(address.rpartition("://")[2]) as channel:
        try:
            channel.unary_unary("/ray.rpc.NodeInfoGcsService/GetClusterId")(b"", metadata=metadata, timeout=10.0)
        except grpc.RpcError as fault:
            return False if fault.code() == grpc.StatusCode.UNAUTHENTICATED else None
    return True
