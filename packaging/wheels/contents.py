"""What is in a wheel besides the package: the libraries of OpenSSL, the licence of each library that it contains, and a
bill of materials (CycloneDX 1.6, where PEP 770 puts it)."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple


class Library(NamedTuple):
    licence: str  # SPDX
    text: str  # its file in the sources
    vendor: str  # of its CPE, by which scanners find vulnerabilities
    product: str


# By the name of the Debian source package.
LIBRARIES = {
    "openssl": Library("Apache-2.0", "LICENSE.txt", "openssl", "openssl"),
    "curl": Library("curl", "COPYING", "haxx", "libcurl"),
    "zlib": Library("Zlib", "LICENSE", "zlib", "zlib"),
    "libsodium": Library("ISC", "LICENSE", "libsodium", "libsodium"),
    "hiredis": Library("BSD-3-Clause", "COPYING", "redis", "hiredis"),
    "cjson": Library("MIT", "LICENSE", "davegamble", "cjson"),
}
SHARED = ("libcrypto-tokenstore.so.3", "libssl-tokenstore.so.3")


def versions(sources: Path) -> dict[str, str]:
    """The Debian version of each library."""
    pairs = (line.split() for line in (sources / "versions").read_text().splitlines())
    return dict(pairs)  # type: ignore[arg-type]


def upstream(version: str) -> str:
    """1:1.3.dfsg+really1.3.1-1 is 1.3.1."""
    plain = version.split(":")[-1].rpartition("-")[0]
    return plain.split("really")[-1]


def bill(version: str, tag: str, sources: Path) -> dict[str, Any]:
    ours = f"pkg:pypi/tokenstore@{version}"
    components = []
    for name, debian in sorted(versions(sources).items()):
        library = LIBRARIES[name]
        components.append(
            {
                "type": "library",
                "bom-ref": f"pkg:deb/debian/{name}@{debian}",
                "name": name,
                "version": upstream(debian),
                "licenses": [{"license": {"id": library.licence}}],
                "cpe": f"cpe:2.3:a:{library.vendor}:{library.product}:{upstream(debian)}:*:*:*:*:*:*:*",
                "purl": f"pkg:deb/debian/{name}@{debian.replace(':', '%3A').replace('+', '%2B')}?arch=source",
            }
        )
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": ours,
                "name": "tokenstore",
                "version": version,
                "licenses": [{"license": {"id": "MIT"}}],
                "purl": ours,
                "properties": [{"name": "tokenstore:wheel", "value": tag}],
            }
        },
        "components": components,
        "dependencies": [{"ref": ours, "dependsOn": [c["bom-ref"] for c in components]}]
        + [{"ref": c["bom-ref"]} for c in components],
    }


def add(tree: Path, version: str, tag: str, sources: Path, prefix: Path) -> None:
    """To an unpacked wheel. RECORD is written when it is packed again."""
    info = tree / f"tokenstore-{version}.dist-info"
    (tree / "tokenstore.libs").mkdir()
    for name in SHARED:
        shutil.copy(prefix / "lib" / name, tree / "tokenstore.libs" / name)
    texts = []
    for name, library in LIBRARIES.items():
        target = info / "licenses" / "bundled" / f"{name}.txt"
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(sources / name / library.text, target)
        texts.append(f"bundled/{name}.txt")
    (info / "sboms").mkdir()
    text = json.dumps(bill(version, tag, sources), indent=2) + "\n"
    (info / "sboms" / "tokenstore.cdx.json").write_text(text)
    metadata = info / "METADATA"
    licences = " AND ".join(dict.fromkeys(["MIT", *(library.licence for library in LIBRARIES.values())]))
    head, blank, body = metadata.read_text().partition("\n\n")
    lines = [
        f"License-Expression: {licences}" if line.startswith("License-Expression:") else line
        for line in head.splitlines()
    ]
    lines += [f"License-File: {text}" for text in texts]
    metadata.write_text("\n".join(lines) + blank + body)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
