"""The page on which users see where they are logged in, and log out there; and that of a Redis that is away."""

from __future__ import annotations

import sys
from typing import Any

from django.contrib.auth import logout
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.decorators import method_decorator
from django.views import defaults
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.generic import TemplateView

from tokenstore.ext.django.users import end_session, end_sessions, user_sessions
from tokenstore.web import UNAVAILABLE

__all__ = ["DevicesView", "server_error"]


@method_decorator([never_cache, csrf_protect], name="dispatch")
class DevicesView(LoginRequiredMixin, TemplateView):
    """Shows ``sessions``, a list of :class:`~tokenstore.ext.django.UserSession`.

    A POST with ``end``, an id, ends that one; with ``others`` it ends all but this.
    """

    template_name = "tokenstore/devices.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        sessions = user_sessions(self.request.user, self.request)
        return {**super().get_context_data(**kwargs), "sessions": sessions}

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Ends the session whose ``sid`` the field ``end`` has, or with a field ``others`` all but this one."""
        id = request.POST.get("end")
        if "others" in request.POST:
            end_sessions(request.user, keep=request)
        elif id and id == request.session.sid:
            logout(request)  # and not end_session: the rest of this request may still save
        elif id:
            end_session(request.user, id)
        return HttpResponseRedirect(request.path)


def server_error(request: HttpRequest) -> HttpResponse:
    """For ``handler500``: 503 if Redis could not be asked, so that clients try again; any other error stays a 500."""
    if not isinstance(sys.exc_info()[1], UNAVAILABLE):
        return defaults.server_error(request)
    response = HttpResponse("Service Unavailable", content_type="text/plain", status=503)
    response["Retry-After"] = "1"
    return response
