"""A Django project for the tests: its settings, views and URLs, and a database in a file of its own.

Each view is there twice, below /sync/ and below /async/: the second one uses the awaitable methods (Django 5.1 and later).
"""

from __future__ import annotations

import asyncio
import atexit
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import django
from asgiref.sync import sync_to_async
from django.conf import settings

_directory = Path(tempfile.mkdtemp(prefix="ts-django-"))
atexit.register(shutil.rmtree, _directory, ignore_errors=True)

settings.configure(
    SECRET_KEY="for the tests alone",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "tokenstore.ext.django",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    MIGRATION_MODULES=dict.fromkeys(["admin", "auth", "contenttypes"]),
    # In a file: an in-memory database is of one connection, and the tests have threads.
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(_directory / "db.sqlite3"),
            "OPTIONS": {"timeout": 30},
        }
    },
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    STATIC_URL="/static/",
    USE_TZ=True,
    LOGIN_URL="/login/",
    LOGGING_CONFIG=None,
    SESSION_ENGINE="tokenstore.ext.django.sessions",
)
django.setup()

from django.contrib import admin  # noqa: E402
from django.contrib.auth import login, logout, update_session_auth_hash  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connections  # noqa: E402
from django.http import HttpRequest, HttpResponse, JsonResponse  # noqa: E402
from django.test import override_settings  # noqa: E402
from django.urls import include, path  # noqa: E402

HAS_ASYNC = django.VERSION >= (5, 1)
"""Sessions have awaitable methods."""
PASSWORD = "correct horse"

during: dict[str, Callable[[], Any]] = {}
"""What happens while a request is handled, by the name that it gives as ``during``: another one, in between."""


def make_database() -> None:
    call_command("migrate", run_syncdb=True, verbosity=0)


def make_user(name: str, **more: Any) -> User:
    return User.objects.create_user(name, password=PASSWORD, **more)


def empty_database() -> None:
    User.objects.all().delete()
    connections.close_all()


@contextmanager
def sessions_at(url: str, **options: Any) -> Iterator[None]:
    """TOKENSTORE on this server; settings in capitals are Django's."""
    others = {name: options.pop(name) for name in list(options) if name.isupper()}
    with override_settings(TOKENSTORE={"url": url, **options}, **others):
        yield


# ---- the views --------------------------------------------------------------------------------------


def _interlude(request: HttpRequest) -> None:
    """In a thread of its own: another request has another context."""
    if "during" in request.GET:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(during[request.GET["during"]]).result()


def show(request: HttpRequest) -> HttpResponse:
    """Who is logged in, and the fields but Django's."""
    user = request.user.get_username() or None
    fields = {k: v for k, v in request.session.items() if not k.startswith("_")}
    return JsonResponse({"user": user, "fields": fields})


def untouched(request: HttpRequest) -> HttpResponse:
    return HttpResponse("nothing")


def put(request: HttpRequest) -> HttpResponse:
    """Sets the fields of ``data``, deletes those of ``unset``; answers with ``status``."""
    request.session.get("read first")
    _interlude(request)
    for name, value in json.loads(request.GET.get("data", "{}")).items():
        request.session[name] = value
    for name in request.GET.getlist("unset"):
        del request.session[name]
    return HttpResponse("put", status=int(request.GET.get("status", 200)))


def enter(request: HttpRequest) -> HttpResponse:
    user = User.objects.get(username=request.GET["user"])
    login(request, user)
    _interlude(request)
    return HttpResponse("welcome", status=int(request.GET.get("status", 200)))


def leave(request: HttpRequest) -> HttpResponse:
    logout(request)
    return HttpResponse("good bye")


def cycle(request: HttpRequest) -> HttpResponse:
    request.session.cycle_key()
    _interlude(request)
    return HttpResponse("cycled", status=int(request.GET.get("status", 200)))


def change_password(request: HttpRequest) -> HttpResponse:
    user = request.user
    user.set_password(request.GET["to"])
    user.save()
    _interlude(request)
    update_session_auth_hash(request, user)
    return HttpResponse("changed")


def reset(request: HttpRequest) -> HttpResponse:
    """A new password for somebody else."""
    request.session["reset"] = request.GET["user"]
    user = User.objects.get(username=request.GET["user"])
    user.set_password("staple")
    user.save()
    _interlude(request)
    return HttpResponse("reset")


async def ashow(request: HttpRequest) -> HttpResponse:
    user = (await request.auser()).get_username() or None
    fields = {k: v for k, v in await request.session.aitems() if not k.startswith("_")}
    return JsonResponse({"user": user, "fields": fields})


async def auntouched(request: HttpRequest) -> HttpResponse:
    return HttpResponse("nothing")


async def aput(request: HttpRequest) -> HttpResponse:
    await request.session.aget("read first")
    await asyncio.to_thread(_interlude, request)
    for name, value in json.loads(request.GET.get("data", "{}")).items():
        await request.session.aset(name, value)
    for name in request.GET.getlist("unset"):
        await request.session.apop(name)
    return HttpResponse("put", status=int(request.GET.get("status", 200)))


async def aenter(request: HttpRequest) -> HttpResponse:
    from django.contrib.auth import alogin

    user = await User.objects.aget(username=request.GET["user"])
    await alogin(request, user)
    await asyncio.to_thread(_interlude, request)
    return HttpResponse("welcome", status=int(request.GET.get("status", 200)))


async def aleave(request: HttpRequest) -> HttpResponse:
    from django.contrib.auth import alogout

    await alogout(request)
    return HttpResponse("good bye")


async def acycle(request: HttpRequest) -> HttpResponse:
    await request.session.acycle_key()
    await asyncio.to_thread(_interlude, request)
    return HttpResponse("cycled", status=int(request.GET.get("status", 200)))


async def achange_password(request: HttpRequest) -> HttpResponse:
    from django.contrib.auth import aupdate_session_auth_hash

    if django.VERSION < (6, 0):
        # aupdate_session_auth_hash reads request.user there, which would ask the database in the event loop.
        await sync_to_async(request.user._setup)()
    user = await request.auser()
    user.set_password(request.GET["to"])
    await user.asave()
    await asyncio.to_thread(_interlude, request)
    await aupdate_session_auth_hash(request, user)
    return HttpResponse("changed")


VIEWS = ("show", "untouched", "put", "enter", "leave", "cycle", "change_password")

urlpatterns = [
    *(path(f"sync/{name}/", globals()[name]) for name in VIEWS),
    *(path(f"async/{name}/", globals()["a" + name]) for name in VIEWS),
    path("sync/reset/", reset),
    path("devices/", include("tokenstore.ext.django.urls")),
    path("admin/", admin.site.urls),
]
