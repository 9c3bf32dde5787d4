"""What tests share: the real broker, and the reference data."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def _unavailable(reason):
    """Skip, or fail on a build machine: there, a skipped test is a test that nobody runs."""
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


def _load(name, path):
    """Import a file by its path: tests are not packages."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def kafka_service():
    """The module that starts brokers, for tests that want one of their own."""
    service = _load("parcours_tests_kafka_service", ROOT / "tests" / "services" / "kafka.py")
    if missing := service.missing_parts():
        _unavailable(f"a Kafka broker needs {', '.join(missing)}, which this machine does not have")
    return service


@pytest.fixture(scope="session")
def kafka(kafka_service):
    """One running broker for all tests; each test makes topics of its own names."""
    with kafka_service.KafkaBroker(secure=True, brief=True) as broker:
        yield broker


@pytest.fixture(scope="session")
def jdbc():
    """Asks a file through an old JDBC driver, as BI tools do."""
    service = _load("parcours_tests_jdbc_service", ROOT / "tests" / "services" / "jdbc.py")
    if missing := service.missing_parts():
        _unavailable(f"a JDBC driver needs {', '.join(missing)}, which this machine does not have")
    return service.ask


@pytest.fixture(scope="session")
def test_data():
    """The folder of public reference data sets."""
    folder = Path(os.environ.get("PARCOURS_TEST_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        _unavailable(f"reference data is not at {folder}: set PARCOURS_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def avro_project():
    """The folder of the Avro project's own test files, and fastavro's evolution vectors beside them."""
    return ROOT / "tests" / "data" / "avro" / "share" / "test"


@pytest.fixture(scope="session")
def registry():
    """One running schema registry for all tests; each test registers subjects of its own names."""
    service = _load("parcours_tests_registry_service", ROOT / "tests" / "services" / "registry.py")
    if missing := service.missing_parts():
        _unavailable(f"a schema registry needs {', '.join(missing)}, which this machine does not have")
    with service.Registry() as running:
        yield running


@pytest.fixture(scope="session")
def chromium():
    """Where the browser is."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        _unavailable("a browser needs chromium, which this machine does not have: apt-get install chromium")
    return found
