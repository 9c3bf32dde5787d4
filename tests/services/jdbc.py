"""DuckDB's JDBC driver, an old one as BI tools have it: fetched with Maven, run from one Java file.

Needs Java 17 and, the first time, Maven: what was fetched is kept in
``${XDG_CACHE_HOME:-~/.cache}/parcours``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

VERSION = "1.3.2.0"

_ASK = """
import java.sql.*;
import java.util.Properties;

public class Ask {
    public static void main(String[] arguments) throws Exception {
        Properties settings = new Properties();
        settings.setProperty("duckdb.read_only", "true");
        try (Connection connection = DriverManager.getConnection("jdbc:duckdb:" + arguments[0], settings)) {
            for (int query = 1; query < arguments.length; query++) {
                ResultSet result = connection.createStatement().executeQuery(arguments[query]);
                result.next();
                System.out.println(result.getString(1));
            }
        }
    }
}
"""


def _jar() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "parcours"
    return cache / f"duckdb_jdbc-{VERSION}.jar"


def missing_parts() -> list[str]:
    """Name the programs that are needed and not there."""
    needed = ["java"] if _jar().exists() else ["java", "mvn"]
    return [program for program in needed if shutil.which(program) is None]


def ask(store: Path, *queries: str) -> list[str]:
    """Open a file read-only through the driver; return each query's first value, as text."""
    jar = _jar()
    jar.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=jar.parent) as folder:
        if not jar.exists():
            artifact = f"org.duckdb:duckdb_jdbc:{VERSION}"
            fetch = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={artifact}"]
            subprocess.run([*fetch, f"-DoutputDirectory={folder}"], check=True, stdout=sys.stderr, cwd=folder)
            (Path(folder) / jar.name).replace(jar)
        program = Path(folder, "Ask.java")
        program.write_text(_ASK)
        command = ["java", "-cp", str(jar), str(program), str(store), *queries]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()
