"""Speaks to a provider: its discovery document, its keys, its token endpoint.

Only to issuers that the operators have opened, without redirects, briefly, and never more than so
many bytes.
"""

from __future__ import annotations

import asyncio
import base64
from http import HTTPStatus
from typing import Any, Final, TypeVar
from urllib.parse import quote_plus

import aiohttp
import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from control_plane.oidc.schemas import ProviderBody

T = TypeVar("T")
ANSWER_S: Final = 5.0
MOST_BYTES: Final = 262_144
CHUNK: Final = 65_536
KEPT_S: Final = 300.0
"""How long discovery and keys are taken for current."""
AGAIN_S: Final = 10.0
"""How soon keys may be asked for again because one is unknown."""


class PeerError(Exception):
    """The provider does not answer, or not as the standard says; the text is for the log."""


class Discovery(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed of the document (OpenID Connect Discovery 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    authorization_response_iss_parameter_supported: bool = False


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed of a token answer."""

    id_token: str


class Peer:
    """All providers, by issuer."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self._client = client
        self._documents: dict[str, tuple[float, Discovery]] = {}
        self._keys: dict[str, tuple[float, KeySet]] = {}

    async def discover(self, issuer: str) -> Discovery:
        """Return the document. Raise `PeerError`."""
        now_s = asyncio.get_running_loop().time()
        at_s, kept = self._documents.get(issuer, (0.0, None))
        if kept is not None and now_s - at_s < KEPT_S:
            return kept
        raw = await self._get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        found = _decode(raw, Discovery)
        if found.issuer != issuer:
            raise PeerError("the document is another issuer's")
        self._documents[issuer] = (now_s, found)
        return found

    async def keys(self, discovery: Discovery, *, anew: bool = False) -> KeySet:
        """Return the keys; `anew`: one was unknown. Raise `PeerError`."""
        now_s = asyncio.get_running_loop().time()
        at_s, kept = self._keys.get(discovery.issuer, (0.0, None))
        if kept is not None and now_s - at_s < (AGAIN_S if anew else KEPT_S):
            return kept
        try:
            document = _decode(await self._get(discovery.jwks_uri), dict[str, Any])
            found = KeySet.import_key_set(document)  # type: ignore[arg-type]
        except (JoseError, ValueError, KeyError) as error:
            raise PeerError("its keys cannot be read") from error
        self._keys[discovery.issuer] = (now_s, found)
        return found

    async def exchange(  # noqa: PLR0913 - the parts of the request
        self,
        discovery: Discovery,
        provider: ProviderBody,
        *,
        code: str,
        verifier: str,
        redirect_uri: str,
        client_secret: str | None,
    ) -> str:
        """Return the ID token for a code (RFC 6749 4.1.3, RFC 7636 4.5). Raise `PeerError`."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers = {}
        if client_secret is None:
            form["client_id"] = provider.client_id
        else:
            # RFC 6749 2.3.1: each of the two is encoded as in a form before they are joined.
            both = f"{quote_plus(provider.client_id)}:{quote_plus(client_secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(both.encode()).decode()}"
        raw = await self._ask("POST", discovery.token_endpoint, data=form, headers=headers)
        return _decode(raw, Tokens).id_token

    async def _get(self, url: str) -> bytes:
        return await self._ask("GET", url)

    async def _ask(self, method: str, url: str, **more: Any) -> bytes:  # noqa: ANN401 - aiohttp's own
        try:
            async with self._client.request(method, url, allow_redirects=False, **more) as answer:
                body = bytearray()
                async for chunk in answer.content.iter_chunked(CHUNK):
                    body += chunk
                    if len(body) > MOST_BYTES:
                        raise PeerError(f"it answers more than {MOST_BYTES} bytes")
                if answer.status != HTTPStatus.OK:
                    raise PeerError(f"it answers {answer.status}")
                return bytes(body)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise PeerError(type(error).__name__) from error


def client() -> aiohttp.ClientSession:
    """Return what all are asked with."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_S)
    return aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())


def _decode(raw: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.MsgspecError as error:
        raise PeerError("its answer cannot be read") from error
