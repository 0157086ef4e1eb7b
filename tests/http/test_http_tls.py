"""TLS: nothing is sent to a server without a valid certificate."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from http_driver import Driver
from http_servers import HttpServer, Reply
from http_tls import server_context

from certs import CLIENT, SERVER, Pki

SECRET = "s3cret-s3cret"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def good(pki: Pki) -> Iterator[HttpServer]:
    with HttpServer(server_context(pki.good)) as server:
        yield server


def fetch(server: HttpServer, host: str = "127.0.0.1", env: dict[str, str] | None = None,
          **options: object):  # type: ignore[no-untyped-def] # fmt: skip
    with Driver(env=env) as driver:
        made = driver.new(**options)
        if made.status != "ok":
            return made
        answer = driver.fetch(server.url(host=host), header=["Authorization:Basic " + SECRET])
        assert SECRET not in answer.message
        return answer


# ---- accepted and rejected servers
# ---------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST"])
def test_a_good_certificate(pki: Pki, good: HttpServer, host: str) -> None:
    assert fetch(good, host, ca=pki.ca.cert).body == b"ok"


def test_a_chain_with_its_intermediate(pki: Pki) -> None:
    with HttpServer(server_context(pki.chained)) as server:
        assert fetch(server, ca=pki.ca.cert).body == b"ok"


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("expired", "has expired"),
        ("not yet valid", "not yet valid"),
        ("wrong host", "127.0.0.1"),
        ("unknown CA", "unable to get local issuer"),
        ("self-signed", "self"),
        ("wrong EKU", "purpose"),
        ("missing intermediate", "unable to get local issuer"),
    ],
)
def test_a_bad_certificate_is_refused(pki: Pki, fault: str, why: str) -> None:
    with HttpServer(server_context(pki.bad[fault])) as server:
        answer = fetch(server, ca=pki.ca.cert)
        assert (answer.status, answer.sent, answer.final) == ("connection", False, True)
        assert "certificate was rejected" in answer.message
        assert why in answer.message
        assert answer.message.startswith(f"https://127.0.0.1:{server.port}: ")
        assert server.requests == []
        # The same server without verification works: so the certificate was the reason.
        assert fetch(server, ca=pki.ca.cert, insecure=1).body == b"ok"


def test_a_name_that_the_certificate_lacks(pki: Pki) -> None:
    pair = pki.ca.sign("ip", "subjectAltName=IP:127.0.0.1", *SERVER)
    with HttpServer(server_context(pair)) as server:
        assert fetch(server, ca=pki.ca.cert).body == b"ok"
        answer = fetch(server, "localhost", ca=pki.ca.cert)
        assert (answer.status, answer.final) == ("connection", True)
        assert len(server.requests) == 1


def test_an_intermediate_is_no_anchor(pki: Pki) -> None:
    with HttpServer(server_context(pki.chained)) as server:
        assert fetch(server, ca=pki.middle.cert).final


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3(pki: Pki, version: ssl.TLSVersion) -> None:
    context = server_context(pki.good)
    context.minimum_version = context.maximum_version = version
    with HttpServer(context) as server:
        assert fetch(server, ca=pki.ca.cert).body == b"ok"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_tls_1_1_is_too_old(pki: Pki) -> None:
    # With a system configuration that allows it.
    lax = pki.file("lax.cnf")
    lax.write_text(
        "openssl_conf = a\n[a]\nssl_conf = b\n[b]\nsystem_default = c\n"
        "[c]\nMinProtocol = TLSv1\nCipherString = ALL:@SECLEVEL=0\n"
    )
    context = server_context(pki.good)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with HttpServer(context) as server:
        for insecure in ({}, {"insecure": 1}):
            answer = fetch(server, ca=pki.ca.cert, env={"OPENSSL_CONF": str(lax)}, **insecure)
            assert (answer.status, answer.sent) == ("connection", False)
        assert server.requests == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_every_connection_verifies_anew(pki: Pki, version: ssl.TLSVersion) -> None:
    context = server_context(pki.good)
    context.minimum_version = context.maximum_version = version
    with HttpServer(context) as server, Driver() as driver:
        server.routes["/"] = lambda request: Reply(close=True)
        assert driver.new(ca=pki.ca.cert).status == "ok"
        for _ in range(3):
            assert driver.fetch(server.url()).body == b"ok"
        assert (server.connections, server.resumed) == (3, 0)


def test_http_2_is_not_offered(pki: Pki) -> None:
    context = server_context(pki.good)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with HttpServer(context) as server:
        assert fetch(server, ca=pki.ca.cert).body == b"ok"


def test_a_certificates_names_are_made_printable(pki: Pki) -> None:
    pair = pki.ca.sign("escape", *SERVER, subject="x\x1b[31m\x07")
    with HttpServer(server_context(pair)) as server:
        answer = fetch(server, ca=pki.ca.cert)
    assert answer.final
    assert answer.message.isprintable()


def test_a_server_that_speaks_no_tls(pki: Pki, server: HttpServer) -> None:
    with Driver() as driver:
        assert driver.new(ca=pki.ca.cert).status == "ok"
        answer = driver.fetch(f"https://127.0.0.1:{server.port}/", post=SECRET)
    assert (answer.status, answer.sent) == ("connection", False)
    assert server.requests == []


# ---- paths of CA certificates ----------------------------------------------------------------------


def rehashed(directory: Path, *certs: Path) -> Path:
    directory.mkdir()
    for cert in certs:
        shutil.copy(cert, directory)
    subprocess.run(["openssl", "rehash", directory], check=True, capture_output=True)
    return directory


def test_ca_may_be_a_directory(pki: Pki, good: HttpServer, tmp_path: Path) -> None:
    assert fetch(good, ca=rehashed(tmp_path / "ca", pki.ca.cert)).body == b"ok"
    assert fetch(good, ca=rehashed(tmp_path / "other", pki.stranger.cert)).final


def test_the_systems_cas_do_not_know_ours(good: HttpServer) -> None:
    assert fetch(good).final


def test_ssl_cert_file(pki: Pki, good: HttpServer) -> None:
    assert fetch(good, env={"SSL_CERT_FILE": str(pki.ca.cert)}).body == b"ok"
    assert fetch(good, env={"SSL_CERT_FILE": str(pki.stranger.cert)}).final
    assert "was rejected" in fetch(good, env={"SSL_CERT_FILE": ""}).message


def test_ssl_cert_dir(pki: Pki, good: HttpServer, tmp_path: Path) -> None:
    ours = rehashed(tmp_path / "ours", pki.ca.cert)
    other = rehashed(tmp_path / "other", pki.stranger.cert)
    assert fetch(good, env={"SSL_CERT_DIR": str(ours)}).body == b"ok"
    assert fetch(good, env={"SSL_CERT_DIR": f"{other}:{ours}"}).body == b"ok"
    assert fetch(good, env={"SSL_CERT_DIR": str(other)}).final
    both = {"SSL_CERT_DIR": str(ours), "SSL_CERT_FILE": str(pki.stranger.cert)}
    assert fetch(good, env=both).body == b"ok"


def test_ca_counts_more_than_the_environment(pki: Pki, good: HttpServer) -> None:
    assert fetch(good, ca=pki.ca.cert, env={"SSL_CERT_FILE": str(pki.stranger.cert)}).body == b"ok"
    assert fetch(good, ca=pki.stranger.cert, env={"SSL_CERT_FILE": str(pki.ca.cert)}).final


def test_libcurls_own_variable_means_nothing(pki: Pki, good: HttpServer) -> None:
    assert fetch(good, env={"CURL_CA_BUNDLE": str(pki.ca.cert)}).final


@pytest.mark.parametrize("option", ["ca", "cert", "key"])
def test_a_file_that_is_not_there(pki: Pki, good: HttpServer, option: str) -> None:
    options = {"ca": pki.ca.cert, "cert": pki.good.cert, "key": pki.good.key}
    answer = fetch(good, **{**options, option: pki.file("nosuch.pem")})
    assert answer.status == "configuration"
    assert f"{option}={pki.file('nosuch.pem')}" in answer.message
    assert "No such file" in answer.message
    assert good.connections == 0


def test_a_variable_that_names_no_file(pki: Pki, good: HttpServer) -> None:
    nosuch = str(pki.file("nosuch.pem"))
    answer = fetch(good, env={"SSL_CERT_FILE": nosuch})
    assert (answer.status, answer.sent, answer.final) == ("configuration", False, True)
    assert nosuch in answer.message


def test_a_ca_file_without_certificates(pki: Pki, good: HttpServer) -> None:
    for content in ("", "junk\n", pki.good.key.read_text()):
        pki.file("junk.pem").write_text(content)
        answer = fetch(good, ca=pki.file("junk.pem"))
        assert (answer.status, answer.sent, answer.final) == ("configuration", False, True)
        assert "junk.pem" in answer.message


# ---- client certificates ---------------------------------------------------------------------------


@pytest.fixture
def mutual(pki: Pki) -> Iterator[HttpServer]:
    context = server_context(pki.good)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(pki.ca.cert)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # TLS 1.3 reports a rejected client certificate only later
    with HttpServer(context) as server:
        yield server


def test_a_client_certificate(pki: Pki, mutual: HttpServer) -> None:
    mine = pki.ca.sign("mine", *CLIENT)
    assert fetch(mutual, ca=pki.ca.cert, cert=mine.cert, key=mine.key).body == b"ok"
    both = pki.file("both.pem")
    both.write_text(mine.cert.read_text() + mine.key.read_text())
    assert fetch(mutual, ca=pki.ca.cert, cert=both).body == b"ok"
    assert fetch(mutual, ca=pki.ca.cert).status == "connection"
    assert len(mutual.requests) == 2


def test_a_key_without_a_certificate(pki: Pki, good: HttpServer) -> None:
    answer = fetch(good, ca=pki.ca.cert, key=pki.good.key)
    assert answer.status == "configuration"
    assert "cert=" in answer.message


def test_a_key_that_does_not_fit(pki: Pki, good: HttpServer) -> None:
    answer = fetch(good, ca=pki.ca.cert, cert=pki.good.cert, key=pki.ca.pair.key)
    assert (answer.status, answer.sent, answer.final) == ("configuration", False, True)
    assert "cert=" in answer.message


def test_an_encrypted_key_asks_nobody(pki: Pki, good: HttpServer) -> None:
    locked = pki.file("locked.key")
    subprocess.run(
        ["openssl", "ec", "-in", pki.good.key, "-out", locked, "-aes256", "-passout", "pass:x"],
        check=True,
        capture_output=True,
    )
    answer = fetch(good, ca=pki.ca.cert, cert=pki.good.cert, key=locked)
    assert (answer.status, answer.final) == ("configuration", True)
    assert "encrypted" in answer.message
