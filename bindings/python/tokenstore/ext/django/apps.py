"""The app, for INSTALLED_APPS."""

from __future__ import annotations

from django.apps import AppConfig


class TokenstoreConfig(AppConfig):
    name = "tokenstore.ext.django"
    label = "tokenstore"
    verbose_name = "Sessions"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # For programs that have no SessionMiddleware, such as `manage.py changepassword`.
        from tokenstore.ext.django import signals  # noqa: F401
