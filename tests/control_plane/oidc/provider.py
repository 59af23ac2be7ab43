"""`python provider.py PORT FOLDER`: a real OpenID provider, django-oauth-toolkit, on the loopback.

It knows ada of the groups `leads` and `staff`, and bob of none; one public client and one with a
secret. PKCE is required. It says `ready` when it serves.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

PASSWORD = "an easel and a brush"  # noqa: S105 - of people who exist in the tests alone
CLIENT_SECRET = "between you and me"  # noqa: S105 - likewise
REDIRECT = "http://127.0.0.1:9/back"
TERMINAL = "http://127.0.0.1/ctl"
"""Of any port: whoever signs in from a terminal listens on a free one."""
PAGES = ("http://127.0.0.1/wallboard", "http://127.0.0.1/recordings")

LOGIN_PAGE = '<form method="post">{% csrf_token %}{{ form.as_p }}<button>in</button></form>'


def configure(port: int, folder: Path) -> None:
    """Be a Django project without files."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from django.conf import settings

    pem = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    issuer = f"http://127.0.0.1:{port}/o"
    settings.configure(
        SECRET_KEY=os.urandom(32).hex(),
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=__name__,
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / "idp.db")}
        },
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "oauth2_provider",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "loaders": [
                        (
                            "django.template.loaders.locmem.Loader",
                            {"registration/login.html": LOGIN_PAGE},
                        ),
                        "django.template.loaders.app_directories.Loader",
                    ]
                },
            }
        ],
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        LOGIN_URL="/login/",
        OAUTH2_PROVIDER={
            "OIDC_ENABLED": True,
            "OIDC_RSA_PRIVATE_KEY": pem.decode(),
            "OIDC_ISS_ENDPOINT": issuer,
            "PKCE_REQUIRED": True,
            "SCOPES": {"openid": "who", "profile": "names"},
            "OAUTH2_VALIDATOR_CLASS": f"{__name__}.validator",
        },
    )


def furnish() -> None:
    """Let there be people and clients."""
    from django.contrib.auth.models import Group, User
    from django.core.management import call_command
    from oauth2_provider.models import get_application_model

    call_command("migrate", verbosity=0)
    ada = User.objects.create_user("ada", password=PASSWORD, first_name="Ada", last_name="L.")
    User.objects.create_user("bob", password=PASSWORD)
    for name in ("leads", "staff"):
        ada.groups.add(Group.objects.create(name=name))
    kinds = (("public", "public", ""), ("sealed", "confidential", CLIENT_SECRET))
    for client, kind, secret in kinds:
        get_application_model().objects.create(
            name=client,
            client_id=client,
            client_secret=secret,
            client_type=kind,
            authorization_grant_type="authorization-code",
            redirect_uris=" ".join((REDIRECT, TERMINAL, *PAGES)),
            algorithm="RS256",
            skip_authorization=True,
        )


class Server(ThreadingMixIn, WSGIServer):
    """Several at once."""

    daemon_threads = True


class Quiet(WSGIRequestHandler):
    """No line a request."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until ended."""
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
    sys.modules["provider"] = sys.modules[__name__]
    configure(port, folder)
    import django

    django.setup()
    from django.contrib.auth.views import LoginView
    from django.core.wsgi import get_wsgi_application
    from django.urls import include, path
    from oauth2_provider.oauth2_validators import OAuth2Validator

    class Validator(OAuth2Validator):  # type: ignore[misc]
        """Tell names and groups."""

        oidc_claim_scope = None
        """Tell all of them, whatever was asked for."""

        def get_additional_claims(self, request: Any) -> dict[str, Any]:
            """Return what is told beside the subject."""
            user = request.user
            return {
                "preferred_username": user.username,
                "name": user.get_full_name(),
                "groups": sorted(group.name for group in user.groups.all()),
            }

    module = sys.modules[__name__]
    module.validator = Validator  # type: ignore[attr-defined]
    module.urlpatterns = [  # type: ignore[attr-defined]
        path("login/", LoginView.as_view()),
        path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
    ]
    furnish()
    server = make_server("127.0.0.1", port, get_wsgi_application(), Server, Quiet)
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
