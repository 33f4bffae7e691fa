"""Settings: read from the environment once, and refused with a sentence that names the variable."""

import subprocess
import sys
from pathlib import Path

import pytest

from meter.core.policy import Policy
from meter.sessionizer.choose_engine import PYTHON_COST_RATIO, engine_by, engine_of, slow_engine_notice
from meter.sessionizer.python_engine import CoreEngine
from meter.sessionizer.spill.directory import reserve_directory
from meter.settings import Settings, load
from schemas.environment import SettingsError
from schemas.instants import HOUR_MS
from tests.sessionizer_engines import needs_kernel


def test_without_variables_everything_has_a_default() -> None:
    """And the rulings are DOMAIN's."""
    assert load({}) == Settings()
    assert load({}).policy() == Policy()


def test_an_empty_variable_is_as_good_as_none() -> None:
    """As compose files write it; foreign variables are none of ours."""
    assert load({"KAFKA_PARTITIONS": "", "PATH": "/bin", "kafka_partitions": "9"}) == Settings()


@pytest.mark.parametrize(
    ("variable", "value", "found"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "a:9092, b.c:1", "a:9092, b.c:1"),
        ("KAFKA_BOOTSTRAP_SERVERS", "[::1]:9092", "[::1]:9092"),
        ("KAFKA_PARTITIONS", "12", 12),
        ("KAFKA_IDEMPOTENT", "false", False),
        ("KAFKA_IDEMPOTENT", "1", True),
        ("METRICS_PORT", "0", 0),
        ("METER_STAGES", "charge", "charge"),
        ("METER_CHECKPOINT_MS", "10", 10),
        ("METER_LATE_HORIZON_H", "0.5", 0.5),
        ("METER_UNKNOWN_WORKSPACE", "hold", "hold"),
        ("METER_DEBIT_ORDER", "paid_first", "paid_first"),
        ("METER_KERNEL", "off", "off"),
        ("METER_SPILL_ABOVE_MB", "0.5", 0.5),
    ],
)
def test_a_variable_is_read(variable: str, value: str, found: object) -> None:
    """As its field's type."""
    assert getattr(load({variable: value}), variable.lower()) == found


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KAFKA_BOOTSTRAP_SERVERS", "localhost"),
        ("KAFKA_BOOTSTRAP_SERVERS", "localhost:"),
        ("KAFKA_BOOTSTRAP_SERVERS", ":9092"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:0"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:65536"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:9092,"),
        ("KAFKA_BOOTSTRAP_SERVERS", "a:9092;b:9092"),
        ("KAFKA_PARTITIONS", "0"),
        ("KAFKA_PARTITIONS", "many"),
        ("KAFKA_IDEMPOTENT", "perhaps"),
        ("METRICS_PORT", "65536"),
        ("METRICS_PORT", "-1"),
        ("METER_STAGES", "both"),
        ("METER_STAGES", "sessionize;charge"),
        ("METER_STAGES", "charge,"),
        ("METER_CHECKPOINT_MS", "9"),
        ("METER_CHECKPOINT_MS", "600001"),
        ("METER_LATE_HORIZON_H", "0"),
        ("METER_LATE_HORIZON_H", "nan"),
        ("METER_LATE_HORIZON_H", "inf"),
        ("METER_UNKNOWN_WORKSPACE", "Hold"),
        ("METER_DEBIT_ORDER", "cheapest"),
        ("METER_KERNEL", "on"),
        ("METER_SPILL_ABOVE_MB", "-1"),
        ("METER_SPILL_ABOVE_MB", "much"),
        ("METER_LOG_LEVEL", "LOUD"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(variable: str, value: str) -> None:
    """One sentence with the variable, its value and what to do."""
    with pytest.raises(SettingsError) as refused:
        load({"KAFKA_PARTITIONS": "3", variable: value})
    sentence = str(refused.value)
    assert sentence.startswith(f"{variable}={value!r} cannot be used: ")
    assert " Set it to " in sentence
    assert sentence.endswith(".")
    assert "`" not in sentence


def test_rulings_follow_the_settings() -> None:
    """What a deployment may set otherwise, and nothing besides."""
    given = {"METER_LATE_HORIZON_H": "1.5", "METER_UNKNOWN_WORKSPACE": "hold", "METER_DEBIT_ORDER": "paid_first"}
    assert load(given).policy() == Policy(
        horizon_ms=3 * HOUR_MS // 2, unknown_workspace="hold", debit_order="paid_first"
    )


@pytest.mark.parametrize(
    ("value", "stages"),
    [
        ("", {"sessionize", "charge", "commands"}),
        ("sessionize", {"sessionize"}),
        ("charge", {"charge"}),
        ("charge, sessionize", {"sessionize", "charge"}),
        ("commands,charge", {"charge", "commands"}),
    ],
)
def test_a_worker_runs_the_stages_that_are_named(value: str, stages: set[str]) -> None:
    """All unless some are asked for, in any order."""
    assert load({"METER_STAGES": value}).stages() == stages


@pytest.mark.parametrize("built", [True, False])
def test_a_kernel_that_is_not_built_cannot_be_required(monkeypatch: pytest.MonkeyPatch, built: bool) -> None:
    """It is refused with what to do; without being required, the core takes its place."""
    monkeypatch.setattr("meter.settings.is_built", lambda: built)
    monkeypatch.setattr("meter.sessionizer.choose_engine.is_built", lambda: built)
    if built:
        assert load({"METER_KERNEL": "require"}).meter_kernel == "require"
    else:
        with pytest.raises(SettingsError, match=r"^METER_KERNEL='require' cannot be used: .* METER_KERNEL=auto\.$"):
            load({"METER_KERNEL": "require"})
        assert engine_by(load({}).meter_kernel) is CoreEngine
    assert engine_by("off") is CoreEngine


@pytest.mark.parametrize(
    ("given", "built", "is_noticed"),
    [
        ({}, False, True),
        ({}, True, False),
        ({"METER_KERNEL": "off"}, False, False),
        ({"METER_STAGES": "charge"}, False, False),
    ],
)
def test_a_worker_says_that_it_has_no_kernel(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], built: bool, is_noticed: bool
) -> None:
    """The notice comes where Python sessionizes only because there is no kernel; it gives the cost and the remedy."""
    monkeypatch.setattr("meter.sessionizer.choose_engine.is_built", lambda: built)
    notice = slow_engine_notice(load(given))
    assert (notice is not None) == is_noticed
    if notice:
        assert f"about {PYTHON_COST_RATIO} times the processor time" in notice
        assert "Install a C compiler" in notice


@pytest.mark.parametrize(
    ("given", "built", "installed", "why"),
    [
        ({}, True, True, ""),
        ({"METER_KERNEL": "off"}, True, True, "only the compiled kernel can let go of state"),
        ({}, False, True, "only the compiled kernel can let go of state"),
        ({}, True, False, "RocksDB is not installed"),
        ({"METER_SPILL_DIR": "here"}, True, True, "it is not an absolute path"),
    ],
)
def test_state_on_disk_needs_what_it_needs(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], built: bool, installed: bool, why: str
) -> None:
    """It is refused with what to do."""
    monkeypatch.setattr("meter.settings.is_built", lambda: built)
    monkeypatch.setattr("meter.settings.find_spec", lambda _: object() if installed else None)
    given = {"METER_SPILL_DIR": "/state"} | given
    if not why:
        assert load(given).meter_spill_dir == "/state"
        return
    with pytest.raises(SettingsError, match=rf"^METER_SPILL_DIR='.*' cannot be used: {why}.*\.$"):
        load(given)


@needs_kernel
def test_a_directory_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    """As what it is, before anything is read."""
    (tmp_path / "file").write_text("")
    directory = str(tmp_path / "file")
    with pytest.raises(
        SettingsError, match=rf"^METER_SPILL_DIR='{directory}' cannot be used: .* Set it to the absolute path"
    ):
        engine_of(load({"METER_SPILL_DIR": directory}))


def test_workers_do_not_share_a_directory(tmp_path: Path) -> None:
    """Each has one below it as long as it lives; who comes next finds nothing of one that was killed."""
    (tmp_path / "worker-1").mkdir()
    (tmp_path / "worker-1" / "left").write_text("")
    program = "import sys, pathlib as p; from meter.sessionizer.spill.directory import reserve_directory; "
    claiming = program + "print(reserve_directory(p.Path(sys.argv[1])))"
    mine = reserve_directory(tmp_path)
    assert mine == tmp_path / "worker-1"
    assert not list(mine.iterdir())
    for _ in range(2):
        command = [sys.executable, "-c", claiming, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == str(tmp_path / "worker-2")
