"""What `order-engine codec` serves: Temporal's remote codec protocol, by which its UI and command line read payloads.

`POST /decode` and `POST /encode` take and answer `{"payloads": [...]}` in protobuf's JSON. Only operators may ask: with
their key as a bearer, as Temporal's command line sends it, or signed in here with it. The UI itself can send no key of
ours, only the browser's cookies; so this has a page to sign in, and the UI is told to include credentials.
"""

import secrets
from base64 import b64encode
from collections.abc import Awaitable, Callable
from datetime import timedelta
from hashlib import sha256
from typing import Final, Literal, TypedDict
from urllib.parse import parse_qs

from fastapi import Depends, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from google.protobuf.json_format import MessageToJson, Parse, ParseError
from itsdangerous import BadSignature, TimestampSigner
from starlette.middleware.cors import CORSMiddleware
from temporalio.api.common.v1 import Payload, Payloads

from api import problems
from api.deps import Bearer
from api.limits import Limits
from api.middleware import BodyLimit
from api.problems import Problem
from api.routes.health import live
from api.server import Server, server_config
from marketplace.codec import EncryptionCodec, PayloadUnreadable
from marketplace.safety import check_codec_safety
from marketplace.security import ApiKeys, Role
from marketplace.settings import Settings
from marketplace.telemetry import get_logger

MAX_BODY: Final = 8 * 1024 * 1024
"""Bytes of a request. Temporal answers with at most 4 MiB at a time, which are a third more in base64."""
SESSION: Final = timedelta(hours=8)
"""How long a sign-in lasts; a restart of the process ends it too."""
COOKIE: Final = "order-engine-codec"
_MAX_FORM: Final = 1024
_STYLE: Final = (
    "body{font:16px/1.5 sans-serif;max-width:30rem;margin:4rem auto;padding:0 1rem}input,button{font:inherit}"
)
_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Order engine: codec</title><style>{style}</style></head>
<body>
<h1>Codec of the order engine</h1>
{body}
</body>
</html>
"""
_SIGN_IN: Final = """\
<p>Sign in to read customers' data in Temporal's UI.</p>
<form method="post" action="session">
<p><label>Operator key <input type="password" name="key" required autofocus autocomplete="off"></label>
<button>Sign in</button></p>
</form>
<p role="alert">{problem}</p>"""
_SIGNED_IN: Final = """\
<p>Signed in. Temporal's UI in this browser now shows customers' data, for {hours} hours at most.</p>
<form method="post" action="session/end"><p><button>Sign out</button></p></form>"""


_log = get_logger("codec")


class _Cookie(TypedDict):
    httponly: bool
    secure: bool
    samesite: Literal["strict"]


class _Sessions:
    """Signed cookies. Their key is made at each start, so that nothing has to be kept or configured."""

    def __init__(self) -> None:
        self._signer = TimestampSigner(secrets.token_bytes(32))

    def begin(self) -> str:
        return self._signer.sign(secrets.token_urlsafe(16)).decode()

    def find(self, request: Request) -> str | None:
        """The session of a request that has one, by a name that opens nothing."""
        try:
            return self._signer.unsign(request.cookies.get(COOKIE, ""), max_age=int(SESSION.total_seconds())).decode()
        except BadSignature:
            return None


class _Codec:
    """What the routes do, for the operators alone who may."""

    def __init__(self, settings: Settings) -> None:
        self._codec = EncryptionCodec(settings.encryption_keys)
        self._keys = ApiKeys((), settings.operator_keys)
        self._limits = Limits(settings, ())
        self._origins = settings.ui_origins
        self._sessions = _Sessions()
        # Where the UI has TLS, so has this: a browser would not let the one ask the other otherwise.
        self._cookie: _Cookie = {
            "httponly": True,
            "secure": all(origin.startswith("https:") for origin in settings.ui_origins),
            "samesite": "strict",
        }

    # --- payloads ---

    async def admit(self, request: Request, bearer: Bearer) -> None:
        """Let operators pass, and of pages in browsers none but the UI's."""
        # The browser asks beforehand for most requests; one that it does not ask for is refused here.
        if request.headers.get("origin", self._origins[0]) not in self._origins:
            raise Problem(403, "this page may not ask the codec: ORDER_ENGINE_UI_ORIGINS does not name its origin")
        if not self._keys.required:
            return
        known = bearer.credentials.strip() if bearer else self._sessions.find(request)
        if known is None or (bearer and self._keys.role_of(known) is not Role.OPERATOR):
            await self._count_stranger(request)
            detail = "sign in at this address in your browser, or send an operator key as 'Authorization: Bearer <key>'"
            raise Problem(401, detail, headers={"WWW-Authenticate": 'Bearer realm="order-engine codec"'})
        await self._limits.key.take(known)

    async def decode(self, request: Request) -> Response:
        return await self._converted(request, self._readable)

    async def encode(self, request: Request) -> Response:
        # For what an operator types into the UI, such as the note of a retry.
        return await self._converted(request, self._codec.encode)

    async def _converted(
        self, request: Request, convert: Callable[[list[Payload]], Awaitable[list[Payload]]]
    ) -> Response:
        async with self._limits.reads.place():
            done = Payloads(payloads=await convert(_read(await request.body())))
            return Response(MessageToJson(done, indent=None), media_type="application/json")

    async def _readable(self, payloads: list[Payload]) -> list[Payload]:
        """Each payload as it was, or as it is where its key is gone: it must not hide the others."""
        found: list[Payload] = []
        for payload in payloads:
            try:
                found += await self._codec.decode([payload])
            except PayloadUnreadable as error:
                _log.warning("a payload stays unreadable", error=str(error))
                found.append(payload)
        return found

    async def _count_stranger(self, request: Request) -> None:
        await self._limits.stranger.take(request.client.host if request.client else "")

    # --- signing in ---

    async def page(self, request: Request) -> Response:
        return _page(_SIGNED_IN if not self._keys.required or self._sessions.find(request) else _SIGN_IN)

    async def sign_in(self, request: Request) -> Response:
        form = (await request.body())[:_MAX_FORM].decode(errors="replace")
        key = parse_qs(form).get("key", [""])[0].strip()
        if self._keys.required and self._keys.role_of(key) is not Role.OPERATOR:
            await self._count_stranger(request)
            return _page(_SIGN_IN, "This is no operator key.", 401)
        _log.info("an operator signed in")
        answer = RedirectResponse("./", 303)
        answer.set_cookie(COOKIE, self._sessions.begin(), max_age=int(SESSION.total_seconds()), **self._cookie)
        return answer

    async def sign_out(self) -> Response:
        answer = RedirectResponse("../", 303)
        answer.delete_cookie(COOKIE, **self._cookie)
        return answer


def create_codec_app(settings: Settings) -> FastAPI:
    """Put together the codec's application. `settings` has encryption keys; without operator keys anybody may ask."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    codec = _Codec(settings)
    problems.install(app)
    admitted = [Depends(codec.admit)]
    app.post("/decode", dependencies=admitted)(codec.decode)
    app.post("/encode", dependencies=admitted)(codec.encode)
    app.get("/")(codec.page)
    app.post("/session")(codec.sign_in)
    app.post("/session/end")(codec.sign_out)
    app.get("/health/live")(live)
    app.add_middleware(BodyLimit, limit=MAX_BODY)
    # The last to be added is the first to see a request: refusals, too, must be readable for the UI.
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.ui_origins,
        allow_methods=["POST"],
        allow_headers=["Authorization", "Authorization-Extras", "Content-Type", "X-Namespace"],
        allow_credentials=True,
        max_age=600,
    )
    return app


def _read(body: bytes) -> list[Payload]:
    try:
        # The parser itself would take a list or a text for an object without fields.
        if body.lstrip()[:1] == b"{":
            return list(Parse(body, Payloads(), ignore_unknown_fields=True).payloads)
    except (ParseError, ValueError, RecursionError):
        pass
    raise Problem(400, 'send {"payloads": [...]} as Temporal writes them in JSON')


def _page(body: str, problem: str = "", status: int = 200) -> HTMLResponse:
    text = body.format(problem=problem, hours=int(SESSION.total_seconds()) // 3600)
    return HTMLResponse(_PAGE.format(style=_STYLE, body=text), status, headers={"Content-Security-Policy": _POLICY})


async def serve(settings: Settings, host: str, port: int) -> None:
    """Run the codec until SIGTERM or SIGINT. Raises SettingsError where it would not be safe, or of no use."""
    check_codec_safety(settings, host)
    app = create_codec_app(settings)
    get_logger("codec").info("codec listens", url=f"http://{host}:{port}", ui_origins=list(settings.ui_origins))
    await Server(server_config(app, host, port)).serve()
