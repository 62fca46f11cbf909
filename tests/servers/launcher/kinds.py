"""What each kind of server needs: its packages, its configuration, its command and a sign that it is ready.

A `Server` is one instance with a data folder and ports of its own. `prepare` may take its time (it unpacks,
initialises, formats), `command` gives what is to be executed, `ready` asks once and never waits, `info` is what the
launcher prints about it. Servers listen on 127.0.0.1 only, with passwords that are no secret.
"""

import base64
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile
import urllib.error
import urllib.request
import uuid
import zlib

from . import Failure, certificates, packages

HOST = "127.0.0.1"
ROOT = os.geteuid() == 0
# The short-lived connections of the readiness checks.
PATIENCE = 2.0


def program(name, package):
    """The path of a program that a Debian package provides."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if not path:
        raise Failure(f"{name} is not installed (Debian package {package}): run `make deps`")
    return path


def run(command, log, **options):
    """Runs a preparing command; its output goes to `log`, its failure is told with the log's tail."""
    with open(log, "ab") as out:
        done = subprocess.run(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, **options)
    if done.returncode != 0:
        raise Failure(f"{command[0]} failed with exit code {done.returncode}; the end of {log}:\n{tail(log)}")


def tail(path, lines=20):
    """The last lines of a log."""
    try:
        with open(path, "rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - 16384))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"


def copy_tree(source, target):
    """Copies a folder; holes and runs of zeros take no space."""
    command = ["cp", "-a", "--sparse=always", "--reflink=auto", str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"could not copy {source}: {done.stderr.strip()}")


class Server:
    """One server of a set: `name` in the printed JSON, `home` for its files, `ports` by purpose."""

    kind = ""
    purposes = ("port",)
    # The signal that asks for a quick and clean stop.
    stop_signal = "TERM"

    def __init__(self, name, home, options):
        self.name = name
        self.home = pathlib.Path(home)
        self.options = dict(options)
        self.ports = {}
        self.certificates = None
        self.log = self.home / "server.log"

    @property
    def port(self):
        return self.ports["port"]

    def option(self, key, default):
        """Takes an option of the launcher's own out of those handed to the server."""
        return self.options.pop(key, default)

    def install(self):
        """Fetches the packages; needs no home."""

    def prepare(self, servers):
        """Writes configuration and data below `home`; `servers` are the other members of the set by kind."""

    def command(self):
        raise NotImplementedError

    def environment(self):
        return None

    def ready(self):
        raise NotImplementedError

    def info(self):
        described = {"host": HOST, "port": self.port, "log": str(self.log)}
        return {**described, "certificates": str(self.certificates)} if self.certificates else described


def greets_as_mysql(port):
    """True once the port answers with a protocol 10 greeting; an error packet ("starting up") is not one."""
    with socket.create_connection((HOST, port), PATIENCE) as client:
        client.settimeout(PATIENCE)
        head = client.recv(5, socket.MSG_WAITALL)
    return len(head) == 5 and head[4] == 10


class MySql(Server):
    """MySQL with GTIDs, row events and full metadata. Users: root (no password), cdc / cdc (all privileges). Options are
    settings of the server; `tls=on` (TLS with the set's certificates) is ours."""

    version = ""
    settings = ()
    users = (
        "CREATE USER root@'%' IDENTIFIED BY ''",
        "GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION",
        "CREATE USER cdc@'%' IDENTIFIED BY 'cdc'",
        "GRANT ALL ON *.* TO cdc@'%' WITH GRANT OPTION",
    )

    def install(self):
        return packages.mysql(self.kind)

    def template(self):
        """An initialised data folder to copy, without a server UUID."""
        server = self.install()

        def fill(folder):
            packages.say(f"initialising a data folder for {self.kind}")
            script, log = folder / "users.sql", packages.DEPS / f"{self.kind}-initialize.log"
            script.write_text("".join(f"{statement};\n" for statement in self.users))
            run([str(server / "bin" / "mysqld"), "--no-defaults", "--initialize-insecure", f"--datadir={folder / 'data'}",
                 f"--lc-messages-dir={server / 'share'}", f"--init-file={script}", *self.as_root()], log)
            (folder / "data" / "auto.cnf").unlink()

        return packages.once(self.template_path(), fill) / "data"

    def template_path(self):
        """Named after what is put into the folder, so that a change of the users makes a new one."""
        stamp = zlib.crc32("".join(self.users).encode())
        return packages.DEPS / "servers" / f"{self.kind}-data-{self.version}-{stamp:08x}"

    def as_root(self):
        return ["--user=root"] if ROOT else []

    def data(self):
        return self.home / "data"

    def socket(self):
        return socket_path(self, "mysql.sock")

    def prepare(self, servers):
        if self.option("tls", "off") == "on":
            self.certificates = certificates.folder_of(self)
            self.options = {"ssl-ca": self.certificates / "ca.pem", "ssl-cert": self.certificates / "server.pem",
                            "ssl-key": self.certificates / "server-rsa.pem", **self.options}
        if not self.data().exists():
            copy_tree(self.template(), self.data())
        server = self.install()
        own = {
            "datadir": self.data(), "lc-messages-dir": server / "share", "socket": self.socket(),
            "pid-file": self.home / "mysqld.pid", "port": self.port, "bind-address": HOST, "server-id": 1,
            "log-bin": "binlog", "binlog-format": "ROW", "gtid-mode": "ON", "enforce-gtid-consistency": "ON",
            "log-slave-updates": "ON", "default-time-zone": "+00:00", "skip-name-resolve": "ON",
            "innodb-buffer-pool-size": "128M", "innodb-flush-log-at-trx-commit": "2", "sync-binlog": "0",
            "innodb-flush-method": "O_DIRECT_NO_FSYNC", "performance-schema": "OFF", "max-allowed-packet": "256M",
            "max-connections": "200", **dict(self.settings), **self.options,
        }
        lines = ["[mysqld]", *(f"{key}={value}" for key, value in own.items())]
        (self.home / "my.cnf").write_text("\n".join(lines) + "\n")

    def command(self):
        return [str(self.install() / "bin" / "mysqld"), f"--defaults-file={self.home / 'my.cnf'}", *self.as_root()]

    def ready(self):
        return greets_as_mysql(self.port)

    def info(self):
        return {**super().info(), "version": self.version, "socket": str(self.socket()), "user": "root", "password": "",
                "cdc_user": "cdc", "cdc_password": "cdc", "datadir": str(self.data())}


class MySql8(MySql):
    kind = "mysql8"
    version = "8.0.15"
    settings = (("mysqlx", "0"), ("binlog-row-metadata", "FULL"))


class MySql57(MySql):
    kind = "mysql57"
    version = "5.7.22"


class MariaDb(MySql):
    """Debian's MariaDB with the users of the MySQL kinds."""

    kind = "mariadb"
    version = "10.11"
    settings = (("binlog-row-metadata", "FULL"), ("gtid-strict-mode", "ON"))

    def install(self):
        return pathlib.Path(program("mariadbd", "mariadb-server-core")).resolve()

    def template(self):
        self.install()
        initialise = program("mariadb-install-db", "mariadb-server-core")

        def fill(folder):
            packages.say("initialising a data folder for mariadb")
            log = packages.DEPS / "mariadb-initialize.log"
            users = folder / "users.sql"
            # The bootstrap runs without grant tables; FLUSH PRIVILEGES brings them in.
            users.write_text("".join(f"{statement};\n" for statement in ("FLUSH PRIVILEGES", *self.users)))
            run([initialise, "--no-defaults", f"--datadir={folder / 'data'}", "--auth-root-authentication-method=normal",
                 "--skip-test-db", f"--extra-file={users}", *self.as_root()], log)

        return packages.once(self.template_path(), fill) / "data"

    def prepare(self, servers):
        super().prepare(servers)
        unknown = ("lc-messages-dir", "gtid-mode", "enforce-gtid-consistency", "innodb-flush-method")
        path = self.home / "my.cnf"
        lines = [line for line in path.read_text().splitlines() if line.split("=")[0] not in unknown]
        path.write_text("\n".join(lines) + "\n")

    def command(self):
        return [str(self.install()), f"--defaults-file={self.home / 'my.cnf'}", *self.as_root()]


class Postgres(Server):
    """PostgreSQL with logical decoding; everybody on loopback is trusted. It refuses root, so root runs it as `nobody`
    that keeps the right to pass through folders, wherever the checkout lies."""

    kind = "pg18"
    stop_signal = "INT"

    def install(self):
        return packages.postgres(self.kind)

    def as_nobody(self):
        if not ROOT:
            return []
        # access(2) forgets capabilities of a user other than root unless no_setuid_fixup is set.
        return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--inh-caps=+dac_override",
                "--ambient-caps=+dac_override", "--securebits=+no_setuid_fixup", "--pdeathsig=KILL"]

    def data(self):
        return self.home / "data"

    def prepare(self, servers):
        server = self.install()
        if not self.data().exists():
            self.data().mkdir(mode=0o700)
            if ROOT:
                shutil.chown(self.data(), "nobody", "nogroup")
            run([*self.as_nobody(), str(server / "bin" / "initdb"), "-D", str(self.data()), "-U", "postgres", "-A", "trust",
                 "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"], self.log, cwd="/")
        own = {"wal_level": "logical", "max_prepared_transactions": 10, "max_replication_slots": 20, "max_wal_senders": 20,
               "fsync": "off", "dynamic_shared_memory_type": "mmap", "port": self.port, "listen_addresses": f"'{HOST}'", "unix_socket_directories": "''",
               **self.options}
        with open(self.data() / "postgresql.conf", "a") as conf:
            conf.writelines(f"{key} = {value}\n" for key, value in own.items())

    def command(self):
        return [*self.as_nobody(), str(self.install() / "bin" / "postgres"), "-D", str(self.data())]

    def ready(self):
        parameters = b"user\0postgres\0database\0postgres\0\0"
        with socket.create_connection((HOST, self.port), PATIENCE) as client:
            client.settimeout(PATIENCE)
            client.sendall(struct.pack(">II", 8 + len(parameters), 196608) + parameters)
            return client.recv(1) == b"R"

    def info(self):
        return {**super().info(), "user": "postgres", "database": "postgres", "version": "18.4"}


class Redis(Server):
    """Debian's Redis, in memory only. `redis-server` is a link to `redis-check-rdb` of the package redis-tools, whose
    installation starts no service."""

    kind = "redis"

    def install(self):
        return program("redis-check-rdb", "redis-tools")

    def prepare(self, servers):
        own = {"port": self.port, "bind": HOST, "dir": self.home, "appendonly": "no", "save": '""', **self.options}
        (self.home / "redis.conf").write_text("".join(f"{key} {value}\n" for key, value in own.items()))

    def command(self):
        return [("redis-server", self.install()), str(self.home / "redis.conf")]

    def ready(self):
        with socket.create_connection((HOST, self.port), PATIENCE) as client:
            client.settimeout(PATIENCE)
            client.sendall(b"PING\r\n")
            return client.recv(5) == b"+PONG"

    def info(self):
        return {**super().info(), "url": f"redis://{HOST}:{self.port}/"}


def java(heap, jars, *rest):
    # A fixed small heap; the serial collector starts fastest and needs no threads of its own.
    return [program("java", "default-jre-headless"), f"-Xmx{heap}", "-XX:+UseSerialGC", "-Xshare:auto",
            "-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
            "-cp", f"{jars}/*", *rest]


# Users of a secured broker: PLAIN and SCRAM know them by these passwords. `admin` may do everything, the others what
# ACLs allow; a client certificate's CN is a user too.
KAFKA_USERS = {"admin": "admin-secret", "worker": "worker-secret", "poor": "poor-secret"}
SASL = "org.apache.kafka.common.security"


class Kafka(Server):
    """One broker that is its own controller (KRaft), transactions on. Options are broker properties; `heap` and
    `secured=on` are ours. A secured broker has listeners SASL_PLAINTEXT, SSL (client certificates required) and SASL_SSL
    beside PLAINTEXT, checks ACLs, and takes who comes by PLAINTEXT for an administrator."""

    kind = "kafka"

    def __init__(self, name, home, options):
        super().__init__(name, home, options)
        self.secured = self.option("secured", "off") == "on"
        self.purposes = ("port", "controller", *(("sasl", "ssl", "sasl_ssl") if self.secured else ()))

    def install(self):
        program("java", "default-jre-headless")
        return packages.kafka()

    def template(self):
        """A formatted log folder to copy; formatting is a second Java process."""
        jars = self.install()

        def fill(folder):
            properties, log = folder / "server.properties", packages.DEPS / "kafka-format.log"
            self.write(properties, folder / "data")
            users = [("--add-scram", f"{mechanism}=[name={name},password={password}]")
                     for name, password in (KAFKA_USERS.items() if self.secured else ())
                     for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")]
            run(java("128m", jars, "kafka.tools.StorageTool", "format", "-t", new_cluster_id(), "-c", str(properties),
                     *(word for user in users for word in user)), log)

        stamp = f"-secured-{zlib.crc32(repr(KAFKA_USERS).encode()):08x}" if self.secured else ""
        return packages.once(packages.DEPS / "servers" / f"kafka-data-{jars.name}{stamp}", fill) / "data"

    def security(self):
        """The properties of a secured broker."""
        folder = self.certificates = certificates.folder_of(self)
        plain = " ".join(f'user_{name}="{password}"' for name, password in KAFKA_USERS.items())
        own = {
            "ssl.keystore.type": "PEM", "ssl.keystore.location": folder / "server-all.pem", "ssl.truststore.type": "PEM",
            "ssl.truststore.location": folder / "ca.pem", "listener.name.ssl.ssl.client.auth": "required",
            "listener.name.ssl.ssl.principal.mapping.rules": "RULE:^CN=([^,]+),.*$/$1/",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS;User:admin",
        }
        for listener in ("sasl_plaintext", "sasl_ssl"):
            name = f"listener.name.{listener}"
            own[f"{name}.plain.sasl.jaas.config"] = f"{SASL}.plain.PlainLoginModule required {plain};"
            for mechanism in ("scram-sha-256", "scram-sha-512"):
                own[f"{name}.{mechanism}.sasl.jaas.config"] = f"{SASL}.scram.ScramLoginModule required;"
        return own

    def write(self, path, data):
        ports = {"PLAINTEXT": self.port}
        if self.secured:
            ports |= {"SASL_PLAINTEXT": self.ports["sasl"], "SSL": self.ports["ssl"], "SASL_SSL": self.ports["sasl_ssl"]}
        clients = ",".join(f"{protocol}://{HOST}:{port}" for protocol, port in ports.items())
        controller = f"{HOST}:{self.ports['controller']}"
        own = {
            "process.roles": "broker,controller", "node.id": 1, "controller.quorum.voters": f"1@{controller}",
            "listeners": f"{clients},CONTROLLER://{controller}", "advertised.listeners": clients,
            "controller.listener.names": "CONTROLLER", "listener.security.protocol.map":
            ",".join([*(f"{protocol}:{protocol}" for protocol in ports), "CONTROLLER:PLAINTEXT"]), "log.dirs": data,
            "num.network.threads": 2, "num.io.threads": 4, "offsets.topic.num.partitions": 5,
            "offsets.topic.replication.factor": 1, "transaction.state.log.num.partitions": 5,
            "transaction.state.log.replication.factor": 1, "transaction.state.log.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0, "controlled.shutdown.enable": "false",
            **(self.security() if self.secured else {}), **self.options,
        }
        path.write_text("".join(f"{key}={value}\n" for key, value in own.items()))

    def prepare(self, servers):
        self.heap = self.option("heap", "512m")
        data = self.home / "data"
        if not data.exists():
            copy_tree(self.template(), data)
            meta = data / "meta.properties"
            lines = [line for line in meta.read_text().splitlines() if not line.startswith("cluster.id")]
            meta.write_text("\n".join([*lines, f"cluster.id={new_cluster_id()}"]) + "\n")
        self.write(self.home / "server.properties", data)

    def command(self):
        return java(self.heap, self.install(), "kafka.Kafka", str(self.home / "server.properties"))

    def ready(self):
        # The port opens before the broker may lead partitions; the log line comes after.
        with open(self.log, "rb") as log:
            log.seek(self.log_start)
            started = b"Kafka Server started" in log.read()
        if started:
            socket.create_connection((HOST, self.port), PATIENCE).close()
        return started

    def info(self):
        secured = {purpose: f"{HOST}:{self.ports[purpose]}" for purpose in self.purposes[2:]}
        return {**super().info(), "bootstrap": f"{HOST}:{self.port}", "jars": str(self.install()), "version": "4.3.0",
                **secured}


def new_cluster_id():
    while True:
        name = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not name.startswith("-"):  # an option to the storage tool
            return name


class Connect(Server):
    """A distributed Kafka Connect worker with Debezium's MySQL connector. Options are worker properties; `heap` and
    `kafka` (a bootstrap address, instead of the set's own broker) are ours."""

    kind = "connect"

    def install(self):
        packages.debezium()
        return packages.kafka()

    def prepare(self, servers):
        self.heap = self.option("heap", "1g")
        bootstrap = self.option("kafka", None)
        if bootstrap is None:
            if "kafka" not in servers:
                raise Failure("connect needs a broker: name `kafka` as well, or give --opt connect.kafka=HOST:PORT")
            bootstrap = f"{HOST}:{servers['kafka'].port}"
        json = "org.apache.kafka.connect.json.JsonConverter"
        own = {
            "bootstrap.servers": bootstrap, "group.id": f"connect-{self.port}", "key.converter": json,
            "value.converter": json, "config.storage.topic": "connect-configs", "offset.storage.topic": "connect-offsets",
            "status.storage.topic": "connect-status", "config.storage.replication.factor": 1,
            "offset.storage.replication.factor": 1, "offset.storage.partitions": 5, "status.storage.replication.factor": 1,
            "offset.flush.interval.ms": 5000, "listeners": f"http://{HOST}:{self.port}", "plugin.path": packages.debezium(),
            "plugin.discovery": "service_load", "exactly.once.source.support": "enabled",
            "scheduled.rebalance.max.delay.ms": 0, **self.options,
        }
        (self.home / "worker.properties").write_text("".join(f"{key}={value}\n" for key, value in own.items()))

    def command(self):
        main = "org.apache.kafka.connect.cli.ConnectDistributed"
        return java(self.heap, self.install(), main, str(self.home / "worker.properties"))

    def ready(self):
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.port}/connectors", timeout=PATIENCE) as answer:
                return answer.status == 200
        except urllib.error.URLError:
            return False

    def info(self):
        return {**super().info(), "url": f"http://{HOST}:{self.port}", "version": packages.DEBEZIUM}


def socket_path(server, name):
    """A path below `home`, or in a short folder of its own where the system's limit of 107 bytes would be passed."""
    path = server.home / name
    if len(str(path)) <= 100:
        return path
    if not hasattr(server, "socket_folder"):
        server.socket_folder = tempfile.mkdtemp(prefix="afterimage-")
    return pathlib.Path(server.socket_folder) / name


KINDS = {kind.kind: kind for kind in (MySql8, MySql57, MariaDb, Postgres, Redis, Kafka, Connect)}
