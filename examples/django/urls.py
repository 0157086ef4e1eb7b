"""The pages: a cart that is there before the login, login and logout, a new password, devices, and the admin."""

from django.contrib import admin
from django.contrib.auth import views as auth
from django.shortcuts import redirect, render
from django.urls import include, path
from django.views.decorators.http import require_POST


def home(request):
    return render(request, "home.html", {"cart": request.session.get("cart", [])})


@require_POST
def add(request):
    request.session["cart"] = [*request.session.get("cart", []), "book"]
    return redirect("/")


urlpatterns = [
    path("", home),
    path("add/", add),
    path("login/", auth.LoginView.as_view(), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path(
        "password/",
        auth.PasswordChangeView.as_view(success_url="/", template_name="registration/login.html"),
    ),
    path("devices/", include("tokenstore.ext.django.urls")),
    path("admin/", admin.site.urls),
]
