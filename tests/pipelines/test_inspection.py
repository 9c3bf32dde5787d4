"""A first look at a reference input: its records beside its rows, and the config block to paste."""

from parcours.pipelines.inspection import config_block, inspect_source
from stores import config_of, file_source


def test_a_reference_input_is_shown_as_what_it_loads(tmp_path):
    """Rows, rejects and lacking fields are those of the input; no word of it is missing in a taxonomy."""
    file = tmp_path / "contracts.csv"
    file.write_text("contract_id,holder,due_at\nK1,C1,2026-01-01\nK2,C2,tomorrow\n", "utf-8")
    bare = file_source(file, "csv", "contracts", loads="contracts")
    config = config_of(tmp_path / "store.duckdb", bare)
    found = inspect_source(config.source[0], config, 10)
    assert {"missing_field": 2} == {reason: count for reason, (count, _) in found.rejects.items()}
    block = config_block(found)
    assert 'loads = "contracts"' in block
    assert "# customer_id = " in block
    assert "event_id" not in block
    mapped = config_of(tmp_path / "store.duckdb", {**bare, "map": {"customer_id": "holder"}})
    found = inspect_source(mapped.source[0], mapped, 10)
    assert (2, 1) == (found.read, found.valid)
    (_, _, first), (_, _, second) = found.samples
    assert ("K1", "C1") == (first["contract_id"], first["customer_id"])
    assert "due_at.readable" == second["rule"]
    assert "[taxonomy" not in config_block(found)
