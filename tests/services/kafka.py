"""A real Apache Kafka broker on this machine: for tests, ``make services`` and benchmarks.

``python tests/services/kafka.py run`` starts one in the foreground, ``up`` and ``down`` start and stop one in
the background, and :class:`KafkaBroker` is the same as a context manager. Needs Java 17 and, the first time,
Maven: the jars are kept in ``${XDG_CACHE_HOME:-~/.cache}/parcours``. Every listener is on 127.0.0.1 and on a
free port.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kafka import KafkaAdminClient

VERSION = "4.1.1"
READY_SECONDS = 60
HERE = Path(__file__).parent
USERNAME, PASSWORD = "parcours", "parcours-test-only"
_POLL_SECONDS = 0.05  # between two looks at whether a broker answers


class MissingPartError(RuntimeError):
    """The machine lacks a program that a broker needs."""


def cache_folder() -> Path:
    """Return the folder outside the tree where fetched parts are kept."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "parcours"


def missing_parts() -> list[str]:
    """Name the programs that are needed and not there."""
    needed = ["java", "keytool"] if _jars().is_dir() else ["java", "keytool", "mvn"]
    return [program for program in needed if shutil.which(program) is None]


def fetch_jars() -> Path:
    """Return the folder of Kafka's jars, fetching them with Maven where they are not in the cache.

    Raises:
        MissingPartError: Java or Maven is not installed.
    """
    if missing := missing_parts():
        raise MissingPartError(
            f"a Kafka broker needs {', '.join(missing)} on the PATH (Java 17 or newer; Maven 3.8 or newer)"
        )
    jars = _jars()
    if not jars.is_dir():
        jars.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=jars.parent) as folder:
            command = ["mvn", "-q", "-B", "-f", str(HERE / "pom.xml"), "dependency:copy-dependencies"]
            command += [f"-DoutputDirectory={folder}/jars", "-DincludeScope=runtime"]
            subprocess.run(command, check=True, stdout=sys.stderr)
            with contextlib.suppress(OSError):  # another process was faster: its jars are as good
                (Path(folder) / "jars").rename(jars)
    return jars


def _jars() -> Path:
    return cache_folder() / f"kafka-{VERSION}"


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


class KafkaBroker:
    """One Kafka cluster in KRaft mode, running while the ``with`` block does.

    Args:
        folder: where data, keys and logs go; default a temporary folder, removed at the end.
        nodes: how many brokers, each a controller too.
        secure: whether each broker also has a SASL_SSL listener (SCRAM-SHA-256).
        settings: more broker settings, as in ``server.properties``.
        instead_of: another cluster, stopped, whose addresses this one takes.
        brief: whether it lives for some tests only: it starts in half the time, and is slower under load.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        nodes: int = 1,
        secure: bool = False,
        settings: dict[str, str] | None = None,
        instead_of: KafkaBroker | None = None,
        brief: bool = False,
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="parcours-kafka-") if folder is None else None
        self.folder = Path(self._temporary.name) if self._temporary else Path(folder or "")
        self._ports = instead_of._ports if instead_of else [_free_ports(3) for _ in range(nodes)]
        self._secure = secure
        self._settings = settings or {}
        self._brief = brief
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._admin: KafkaAdminClient | None = None
        self._jars = fetch_jars()
        self._format()

    @property
    def bootstrap(self) -> str:
        """The plain listeners, as ``host:port,host:port``."""
        return ",".join(f"127.0.0.1:{plain}" for plain, _, _ in self._ports)

    @property
    def secure_settings(self) -> dict[str, Any]:
        """What a client needs for the SASL_SSL listener, in kafka-python's words, bootstrap included."""
        return {
            "bootstrap_servers": ",".join(f"127.0.0.1:{secure}" for _, _, secure in self._ports),
            "security_protocol": "SASL_SSL",
            "ssl_cafile": str(self.folder / "ca.pem"),
            "sasl_mechanism": "SCRAM-SHA-256",
            "sasl_plain_username": USERNAME,
            "sasl_plain_password": PASSWORD,
        }

    @property
    def admin(self) -> KafkaAdminClient:
        """A connected admin client, made again after each restart."""
        # not above: run as a script, this file hides the package of its name
        from kafka import KafkaAdminClient  # noqa: PLC0415

        if self._admin is None:
            self._admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        return self._admin

    @property
    def pids(self) -> list[int]:
        """The processes that run now."""
        return [process.pid for process in self._processes.values()]

    def start(self) -> None:
        """Start every node that does not run, on its ports and data, and wait until all of them answer.

        Raises:
            RuntimeError: a node ended, or did not answer within a minute; with the end of its log.
        """
        started = [node for node in range(1, len(self._ports) + 1) if node not in self._processes]
        for node in started:
            with (self.folder / f"node{node}.log").open("ab") as log:
                self._processes[node] = subprocess.Popen(
                    [*self._java(), "kafka.Kafka", str(self.folder / f"node{node}.properties")],
                    stdout=log,
                    stderr=log,
                    cwd=self.folder,
                    start_new_session=True,  # Ctrl-C is for the caller, who stops the broker
                )
        deadline = time.monotonic() + READY_SECONDS
        for node in started:
            while not _answers(self._ports[node - 1][0]):
                if self._processes[node].poll() is not None or time.monotonic() > deadline:
                    end = (self.folder / f"node{node}.log").read_text(errors="replace")[-3000:]
                    self.kill()
                    raise RuntimeError(f"Kafka node {node} did not start within {READY_SECONDS} s:\n{end}")
                time.sleep(_POLL_SECONDS)

    def stop(self, *nodes: int) -> None:
        """Stop some nodes, all if none is named, as an operator would; the data stays. Nodes count from 1."""
        self._end(signal.SIGTERM, nodes)

    def kill(self, *nodes: int) -> None:
        """End some nodes, all if none is named, at once, as a crash would; the data stays."""
        self._end(signal.SIGKILL, nodes)

    def leader(self, topic: str, partition: int = 0) -> int:
        """Return the node that leads a partition now."""
        (described,) = self.admin.describe_topics([topic])
        return next(p["leader_id"] for p in described["partitions"] if p["partition_index"] == partition)

    def create_topic(self, name: str, partitions: int = 1, **configs: object) -> None:
        """Create a topic and wait until it can be used; ``configs`` write dots as underscores."""
        options = {key.replace("_", "."): str(value) for key, value in configs.items()}
        topic = {"num_partitions": partitions, "replication_factor": len(self._ports), "configs": options}
        from kafka.errors import TopicAlreadyExistsError  # noqa: PLC0415

        # a slow broker's first answer is not waited for, and the client asks again
        with contextlib.suppress(TopicAlreadyExistsError):
            self.admin.create_topics({name: topic}, wait_for_metadata=True)

    def delete_topic(self, name: str) -> None:
        """Delete a topic and wait until the cluster no longer lists it."""
        self.admin.delete_topics([name])
        while name in self.admin.list_topics():
            time.sleep(_POLL_SECONDS)

    def run_tool(self, *command: str, stdin: str = "") -> str:
        """Run one of Kafka's own command line tools, a class and its arguments; return what it wrote.

        Raises:
            subprocess.CalledProcessError: it failed.
        """
        done = subprocess.run(
            [*self._java(), *command], input=stdin, check=True, capture_output=True, text=True
        )
        return done.stdout

    def __enter__(self) -> KafkaBroker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._temporary:
            self._temporary.cleanup()

    def _end(self, how: signal.Signals, nodes: Sequence[int]) -> None:
        if self._admin is not None:
            self._admin.close()
            self._admin = None
        ended = [self._processes.pop(node) for node in nodes or list(self._processes)]
        for process in ended:
            process.send_signal(how)
        for process in ended:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _java(self) -> list[str]:
        return [
            *("java", "-Xms256m", "-Xmx768m", "-XX:+UseSerialGC", "-Djava.awt.headless=true"),
            *(["-XX:TieredStopAtLevel=1"] if self._brief else []),
            f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}",
            *("-cp", f"{self._jars}/*"),
        ]

    def _format(self) -> None:
        """Write each node's properties and format its storage, unless the folder holds a cluster already."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if self._secure:
            self._make_keys()
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        formats = []
        for node in range(1, len(self._ports) + 1):
            properties = self.folder / f"node{node}.properties"
            properties.write_text("".join(f"{k}={v}\n" for k, v in self._properties(node).items()))
            command = ["kafka.tools.StorageTool", "format", "--ignore-formatted"]
            # an id may begin with a hyphen: it must not look like an option
            command += [f"--cluster-id={cluster_id}", "-c", str(properties)]
            if self._secure:
                command += ["--add-scram", f"SCRAM-SHA-256=[name={USERNAME},password={PASSWORD}]"]
            formats.append(
                subprocess.Popen(
                    [*self._java(), *command],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    cwd=self.folder,
                )
            )
        for done in formats:
            said, _ = done.communicate()
            if done.returncode:
                raise RuntimeError(f"formatting Kafka's storage failed:\n{said}")

    def _properties(self, node: int) -> dict[str, str]:
        plain, controller, secure = self._ports[node - 1]
        listeners = {"PLAINTEXT": plain, "CONTROLLER": controller}
        if self._secure:
            listeners["SASL_SSL"] = secure
        advertised = {name: port for name, port in listeners.items() if name != "CONTROLLER"}
        replicas = str(min(3, len(self._ports)))
        properties = {
            "process.roles": "broker,controller",
            "node.id": str(node),
            "controller.quorum.voters": ",".join(
                f"{n}@127.0.0.1:{port}" for n, (_, port, _) in enumerate(self._ports, start=1)
            ),
            "controller.listener.names": "CONTROLLER",
            "listeners": ",".join(f"{name}://127.0.0.1:{port}" for name, port in listeners.items()),
            "advertised.listeners": ",".join(f"{n}://127.0.0.1:{port}" for n, port in advertised.items()),
            "listener.security.protocol.map": ("PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL"),
            "log.dirs": str(self.folder / f"node{node}"),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": replicas,
            "offsets.topic.num.partitions": "1",
            "transaction.state.log.replication.factor": replicas,
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "1",
            "group.initial.rebalance.delay.ms": "0",
            "broker.session.timeout.ms": "3000",  # how long a start after a kill waits for the old session
            "broker.heartbeat.interval.ms": "500",
            # a topic is compacted, or loses what is too old, while a test watches
            "log.cleaner.backoff.ms": "100",
            "log.initial.task.delay.ms": "1000",
            "log.retention.check.interval.ms": "500",
            "log.retention.ms": "-1",  # but for topics that say so, records may be of any age
        }
        if self._secure:
            properties |= {
                "ssl.keystore.type": "PKCS12",
                "ssl.keystore.location": str(self.folder / "keys.p12"),
                "ssl.keystore.password": PASSWORD,
                "sasl.enabled.mechanisms": "SCRAM-SHA-256",
                "listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config": (
                    "org.apache.kafka.common.security.scram.ScramLoginModule required;"
                ),
            }
        return properties | self._settings

    def _make_keys(self) -> None:
        store = ["-keystore", str(self.folder / "keys.p12"), "-storepass", PASSWORD, "-alias", "broker"]
        if not (self.folder / "keys.p12").exists():
            subprocess.run(
                [
                    *("keytool", "-genkeypair", *store, "-storetype", "PKCS12", "-keyalg", "EC"),
                    *("-dname", "CN=127.0.0.1", "-ext", "SAN=ip:127.0.0.1", "-validity", "3650"),
                ],
                check=True,
                capture_output=True,
            )
        exported = subprocess.run(
            ["keytool", "-exportcert", "-rfc", *store], check=True, capture_output=True, text=True
        )
        (self.folder / "ca.pem").write_text(exported.stdout)


def _answers(port: int) -> bool:
    """Whether a broker serves requests: it opens its plain listener only once it can."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def _state_file() -> Path:
    return cache_folder() / "services" / "kafka.json"


def _up(nodes: int) -> None:
    state = _state_file()
    if state.exists():
        _down()
    folder = state.parent / "kafka"
    shutil.rmtree(folder, ignore_errors=True)
    broker = KafkaBroker(folder, nodes=nodes, secure=True)
    broker.start()
    state.write_text(json.dumps({"pids": broker.pids, "folder": str(folder), "bootstrap": broker.bootstrap}))
    print(broker.bootstrap)


def _down() -> None:
    state = _state_file()
    if not state.exists():
        print("no broker was started with up", file=sys.stderr)
        return
    noted = json.loads(state.read_text())
    for pid in noted["pids"]:
        # the pid may since belong to another program: only what runs on our folder is ours
        command = subprocess.run(
            ["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        if noted["folder"] in command.stdout:
            os.kill(pid, signal.SIGTERM)
            while _alive(pid):
                time.sleep(_POLL_SECONDS)
    shutil.rmtree(noted["folder"], ignore_errors=True)
    state.unlink()


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return not state.stdout.startswith("Z")


def _run(nodes: int) -> None:
    asked = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: asked.set())
    with KafkaBroker(nodes=nodes, secure=True) as broker:
        print(broker.bootstrap, flush=True)
        asked.wait()


def main() -> None:
    """Start or stop a broker from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["up", "down", "run"])
    parser.add_argument("--nodes", type=int, default=1, help="how many brokers")
    arguments = parser.parse_args()
    try:
        if arguments.command == "down":
            _down()
        else:
            (_up if arguments.command == "up" else _run)(arguments.nodes)
    except MissingPartError as missing:
        sys.exit(str(missing))


if __name__ == "__main__":
    main()
