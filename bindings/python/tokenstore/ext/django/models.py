"""A model without a table: the sessions' place in the admin, and the permissions to see and to end them."""

from __future__ import annotations

from django.db import models


class Session(models.Model):
    class Meta:
        managed = False
        default_permissions = ("view", "delete")
        verbose_name = "session"
        verbose_name_plural = "sessions"
