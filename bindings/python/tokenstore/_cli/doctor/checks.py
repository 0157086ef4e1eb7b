"""The table of checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from tokenstore._cli.doctor import abilities, clusters, indexes, keeping, network, rights
from tokenstore._cli.doctor.finding import Finding, unknown
from tokenstore._cli.doctor.patient import Patient
from tokenstore.errors import Error

__all__ = ["CHECKS", "Check", "examine"]


class Check(NamedTuple):
    """One row: its name, the question, and the function that yields verdicts with advice."""

    name: str
    question: str
    look: Callable[[Patient], Iterator[Finding]]


CHECKS = (
    Check("server", "Which server is it, and is it recent?", abilities.server),
    Check("rights", "May the user do all that the stores do?", rights.rights),
    Check("eviction", "Does the server keep tokens until they end?", keeping.eviction),
    Check("persistence", "Are tokens, and revocations, kept when it restarts?", keeping.persistence),
    Check("replication", "Is it a primary, and are there replicas that could take over?", keeping.replication),
    Check("cluster", "Is every slot served?", clusters.cluster),
    Check("tls", "Is the connection encrypted, and how long is the certificate valid?", network.tls),
    Check("clock", "Does the server's clock agree with this machine's?", network.clock),
    Check("latency", "How long does an answer take?", network.latency),
    Check("near cache", "Could a near cache be used?", abilities.near_cache),
    Check("indexes", "Do the indexes of RedisJWT and Tokenstore agree with what they list?", indexes.indexes),
)


def examine(patient: Patient) -> Iterator[Finding]:
    """The findings of all checks, in order; of a check that has none, nothing."""
    for check in CHECKS:
        try:
            for finding in check.look(patient):
                yield finding._replace(check=check.name)
        except Error as error:
            found = f"this could not be examined: {error}"
            yield unknown(found, "run tokenstore ping, then this again")._replace(check=check.name)
