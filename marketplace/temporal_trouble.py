"""Why Temporal could not be reached, and what to do about it: read out of the SDK's long texts."""

import re
from typing import Final, NamedTuple

_QUOTED = re.compile(r'(?:message|error): "([^"]+)"')


class Trouble(NamedTuple):
    """What is the matter, in a few words, and what the person who starts the process can do."""

    cause: str
    cure: str


START_IT: Final = "start it, or set TEMPORAL_ADDRESS"

_NO_LEAVE: Final = Trouble("it refuses this client", "look at TEMPORAL_API_KEY and at TEMPORAL_NAMESPACE")
_OTHER_CA: Final = Trouble(
    "its certificate is not from a CA that is known here",
    "set TEMPORAL_TLS_SERVER_CA_CERT_PATH to the certificate of the CA that signed it",
)
_KNOWN: Final = {
    "UnknownIssuer": _OTHER_CA,
    "InvalidCertificate(BadSignature": _OTHER_CA,
    "NotValidForName": Trouble(
        "its certificate is for another name",
        "use that name in TEMPORAL_ADDRESS, or set TEMPORAL_TLS_SERVER_NAME to it",
    ),
    "InvalidCertificate(Expired": Trouble(
        "its certificate has expired", "renew it there, and look at the clock of this machine"
    ),
    "InvalidContentType": Trouble(
        "it does not speak TLS there",
        "use its TLS port in TEMPORAL_ADDRESS, or set TEMPORAL_TLS=false where nobody listens in between",
    ),
    "code: Unauthenticated": _NO_LEAVE,
    "code: PermissionDenied": _NO_LEAVE,
    "InvalidCertificate": Trouble("its certificate is not accepted", "let the server's operator look at it"),
}
"""By what stands in the SDK's text; the first that does counts."""

_WANTS_TLS: Final = Trouble("it hangs up at once", "where it speaks TLS, set TEMPORAL_TLS=true; else look at its log")
_WANTS_CERTIFICATE: Final = Trouble(
    "it ends the TLS connection",
    "where it asks for a client certificate, set TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH",
)
# A server that refuses us tells it by closing: before HTTP/2 has begun, or in TLS 1.3 just after the handshake.
_HUNG_UP: Final = (
    "BrokenPipe",
    "ConnectionReset",
    "ConnectionAborted",
    "UnexpectedEof",
    "http2 error",
    "AlertReceived",
    "operation was canceled",
)


def diagnose(error: Exception, *, tls: bool) -> Trouble:
    """Tell what an error of the SDK's connection means. `tls`: whether the connection was to be encrypted."""
    text = " ".join(str(error).split())
    for sign, trouble in _KNOWN.items():
        if sign in text:
            return trouble
    if any(sign in text for sign in _HUNG_UP):
        return _WANTS_CERTIFICATE if tls else _WANTS_TLS
    return Trouble(short_cause(error), START_IT)


def short_cause(error: Exception) -> str:
    """The short reason out of the SDK's long text."""
    text = " ".join(str(error).split())
    found: list[str] = _QUOTED.findall(text)
    return found[-1] if found else text
