"""The app, for INSTALLED_APPS."""

from __future__ import annotations

from django.apps import AppConfig
from django.core.checks import register


class TokenstoreConfig(AppConfig):
    name = "tokenstore.ext.django"
    label = "tokenstore"
    verbose_name = "Sessions"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from tokenstore.ext.django.checks import check_cookie

        register(check_cookie)
        # For programs that have no SessionMiddleware, such as `manage.py changepassword`.
        from tokenstore.ext.django import signals  # noqa: F401
