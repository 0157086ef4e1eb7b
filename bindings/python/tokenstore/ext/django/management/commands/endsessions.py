"""``manage.py endsessions alice bob``, ``manage.py endsessions --all``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser

from tokenstore.ext.django.users import end_sessions


class Command(BaseCommand):
    help = "Ends the sessions of users: they have to log in again, everywhere."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("users", nargs="*", metavar="user", help="a user's name")
        parser.add_argument(
            "--all", action="store_true", help="of all users in the database, one after the other"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if bool(options["users"]) == options["all"]:
            raise CommandError("name users, or give --all")
        for user in _all() if options["all"] else _named(options["users"]):
            if end_sessions(user):
                self.stdout.write(f"{user.get_username()}: ended")
            elif not options["all"]:
                self.stdout.write(f"{user.get_username()}: no sessions")


def _all() -> Iterable[Any]:
    return get_user_model()._default_manager.iterator()  # type: ignore[no-any-return]


def _named(names: list[str]) -> list[Any]:
    """All of them are looked up before the first session is ended."""
    manager = get_user_model()._default_manager
    users, missing = [], []
    for name in names:
        try:
            users.append(manager.get_by_natural_key(name))
        except manager.model.DoesNotExist:
            missing.append(name)
    if missing:
        raise CommandError(f"no such user: {', '.join(missing)}. No session was ended")
    return users
