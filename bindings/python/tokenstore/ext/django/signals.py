"""What happens beside Django's own: a changed password ends the user's sessions; a login is told who asks."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import receiver

from tokenstore.ext.django import _context
from tokenstore.ext.django.users import end_sessions, owner_of

__all__: list[str] = []


@receiver(user_logged_in, dispatch_uid="tokenstore.logged_in")
def _note_origin(request: Any = None, **unused: Any) -> None:
    session: Any = getattr(request, "session", None)
    if hasattr(session, "origin"):
        session.origin = request.META


@receiver(post_save, sender=settings.AUTH_USER_MODEL, dispatch_uid="tokenstore.password")
def _end_after_change(instance: Any, created: bool, using: str, **unused: Any) -> None:
    # set_password() leaves the new one there until save() has told the validators. A stronger hash of the same password
    # leaves nothing.
    if not created and getattr(instance, "_password", None) is not None:
        owner = owner_of(instance)
        transaction.on_commit(lambda: _end_others(owner), using=using)


def _end_others(owner: str) -> None:
    """All but that of the request which changes the password: whether it goes on is the view's to say, as in Django."""
    session = _context.session()
    if session is None or session.owner != owner:
        end_sessions(owner)
        return
    session.is_proven = True
    end_sessions(owner, keep=session._session_key)  # not session_key, which may save
