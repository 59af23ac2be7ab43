"""The reviewed experiments: the files of `drills/experiments`."""

from __future__ import annotations

from pathlib import Path

from drills.experiment import Experiment, ExperimentError, read_experiment

FOLDER = Path(__file__).parent / "experiments"


def experiments() -> dict[str, Experiment]:
    """Return all, by name. ExperimentError for a file that is none."""
    found: dict[str, Experiment] = {}
    for path in sorted(FOLDER.glob("*.toml")):
        experiment = _read(path)
        if experiment.name != path.stem:
            raise ExperimentError(f"{path.name}: the name in it is {experiment.name}")
        found[experiment.name] = experiment
    return found


def experiment_of(name: str) -> Experiment:
    """Return one, by its name or its file. ExperimentError names those that there are."""
    path = Path(name)
    if path.suffix == ".toml":
        if not path.is_file():
            raise ExperimentError(f"there is no file {name}")
        return _read(path)
    known = experiments()
    if name not in known:
        raise ExperimentError(f"there is no drill {name!r}; there are: {', '.join(known)}")
    return known[name]


def _read(path: Path) -> Experiment:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ExperimentError(
            f"{path.name}: no experiment: it is not in UTF-8 ({error})"
        ) from error
    return read_experiment(text, path.name)
