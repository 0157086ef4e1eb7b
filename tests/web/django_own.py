"""Django's own tests of sessions, with our engine: a program, since they want a project of their own.

python django_own.py SDIST URL        prints {test: outcome} as JSON
"""

from __future__ import annotations

import json
import sys
import unittest
from types import SimpleNamespace
from typing import Any
from unittest import mock

import django
from django.conf import settings

SDIST, URL = sys.argv[1:]
sys.path.insert(0, f"{SDIST}/tests")
settings.configure(
    SECRET_KEY="for the tests alone",
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "sessions_tests",
        "tokenstore.ext.django",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    MIGRATION_MODULES={"auth": None, "contenttypes": None, "sessions": None},
    USE_TZ=True,
    SESSION_ENGINE="tokenstore.ext.django.sessions",
    TOKENSTORE={"url": URL},
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django.test import SimpleTestCase  # noqa: E402
from django.test.utils import get_runner  # noqa: E402
from sessions_tests import tests as theirs  # noqa: E402

from tokenstore.ext.django.sessions import SessionStore  # noqa: E402


class EngineTests(theirs.SessionTestsMixin, SimpleTestCase):
    backend = SessionStore

    def test_clearsessions(self) -> None:
        call_command("clearsessions")


class _Rows:
    """What the middleware's tests ask of the database's table, answered by our engine."""

    @staticmethod
    def get(session_key: str) -> Any:
        return SimpleNamespace(get_decoded=lambda: SessionStore(session_key).load())


class MiddlewareTests(theirs.SessionMiddlewareTests):
    def setUp(self) -> None:
        super().setUp()
        for name, ours in (
            ("DatabaseSession", SessionStore),
            ("Session", mock.Mock(objects=_Rows)),
        ):
            patch = mock.patch.object(theirs, name, ours)
            patch.start()
            self.addCleanup(patch.stop)


class Result(unittest.TextTestResult):
    """Notes the outcome of each test."""

    outcomes: dict[str, str] = {}

    def stopTest(self, test: Any) -> None:  # noqa: N802
        super().stopTest(test)
        self.outcomes.setdefault(_name(test), "passed")

    def addSkip(self, test: Any, reason: str) -> None:  # noqa: N802
        super().addSkip(test, reason)
        self.outcomes[_name(test)] = f"skipped: {reason}"

    def _exc_info_to_string(self, error: Any, test: Any) -> str:
        text: str = super()._exc_info_to_string(error, test)  # type: ignore[misc]
        self.outcomes[_name(test)] = text
        return text


def _name(test: Any) -> str:
    case = getattr(test, "test_case", test)  # of a subTest
    return f"{type(case).__name__}.{case._testMethodName}"


def main() -> None:
    suite = unittest.TestSuite()
    for case in (EngineTests, MiddlewareTests):
        suite.addTests(unittest.defaultTestLoader.loadTestsFromTestCase(case))
    runner = get_runner(settings)(verbosity=0, interactive=False)
    runner.setup_test_environment()
    databases = runner.setup_databases()
    unittest.TextTestRunner(stream=sys.stderr, resultclass=Result, verbosity=0).run(suite)
    runner.teardown_databases(databases)
    print(json.dumps(Result.outcomes))


if __name__ == "__main__":
    main()
