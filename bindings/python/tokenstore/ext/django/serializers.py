"""For SESSION_SERIALIZER: JSON that takes what DjangoJSONEncoder takes."""

from __future__ import annotations

import json
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

__all__ = ["JSONSerializer"]


class JSONSerializer:
    """Dates, times, durations, Decimals, UUIDs and lazy texts are stored as text, and read back as text."""

    def dumps(self, obj: Any) -> bytes:
        """The text that is stored. TypeError for what JSON does not know."""
        return json.dumps(obj, cls=DjangoJSONEncoder, separators=(",", ":")).encode()

    def loads(self, data: bytes) -> Any:
        """What such a text says."""
        return json.loads(data)
