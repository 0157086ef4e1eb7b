"""The admin's page of one user's sessions. There is no list of everybody's: Redis keeps none."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from tokenstore.ext.django.models import Session
from tokenstore.ext.django.users import end_session, end_sessions, user_sessions

__all__ = ["SessionAdmin"]


@admin.register(Session)
class SessionAdmin(admin.ModelAdmin):
    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.changelist_view)
        return [path("", view, name="tokenstore_session_changelist")]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        name = request.GET.get("user", "").strip()
        user = _user_called(name) if name else None
        if user is not None and request.method == "POST":
            self._end(request, user)
            return HttpResponseRedirect(request.get_full_path())
        context = {
            **self.admin_site.each_context(request),
            "title": "Sessions",
            "opts": self.opts,
            "name": name,
            "of_user": user,
            "sessions": [] if user is None else user_sessions(user, request),
            "may_end": self.has_delete_permission(request),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "tokenstore/admin_sessions.html", context)

    def _end(self, request: HttpRequest, user: Any) -> None:
        if not self.has_delete_permission(request):
            raise PermissionDenied
        id = request.POST.get("end", "")
        keep = request if user.pk == request.user.pk else None  # not the administrator's own
        if "all" in request.POST:
            ended = end_sessions(user, keep=keep)
        else:
            is_own = keep is not None and id == request.session.sid
            ended = not is_own and end_session(user, id)
        if ended:
            self.log_change(request, user, "Ended sessions.")
            self.message_user(request, f"Ended sessions of {user}.", messages.SUCCESS)
        else:
            self.message_user(request, "There was no such session.", messages.WARNING)


def _user_called(name: str) -> Any:
    """The user with this name, or with this primary key; None if there is none."""
    users = get_user_model()._default_manager
    try:
        return users.get_by_natural_key(name)
    except users.model.DoesNotExist:
        pass
    try:
        return users.filter(pk=name).first()
    except (ValueError, ValidationError):  # it cannot be a key
        return None
