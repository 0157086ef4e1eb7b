"""Importing this makes a Django project: the plug-in for Django can be imported only in one."""

import django
import django.conf

django.conf.settings.configure(
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "tokenstore.ext.django",
    ],
    SESSION_ENGINE="tokenstore.ext.django.sessions",
)
django.setup()
