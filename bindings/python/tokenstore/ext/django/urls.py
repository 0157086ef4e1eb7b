"""``path("devices/", include("tokenstore.ext.django.urls"))``."""

from __future__ import annotations

from django.urls import path

from tokenstore.ext.django.views import DevicesView

app_name = "tokenstore"

urlpatterns = [path("", DevicesView.as_view(), name="devices")]
