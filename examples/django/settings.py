"""The settings. Those of tokenstore are SESSION_ENGINE, TOKENSTORE, and its app."""

import os
import secrets

SESSION_ENGINE = "tokenstore.ext.django.sessions"
TOKENSTORE = {
    "url": os.environ.get(
        "TOKENSTORE_URL", "embedded:"
    ),  # a private server, which ends with this process
    "absolute": 90 * 86400,  # after three months users log in again, however active
}

SECRET_KEY = os.environ.get("EXAMPLE_SECRET") or secrets.token_urlsafe(32)  # yours stays the same
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "urls"
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["EXAMPLE_DATABASE"]}
}
USE_TZ = True
STATIC_URL = "/static/"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "tokenstore.ext.django",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [os.path.join(os.path.dirname(__file__), "templates")],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
