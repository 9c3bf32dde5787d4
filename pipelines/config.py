"""Loading ``parcours.toml``: layers, flags, secrets and paths, and every mistake at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from parcours.pipelines.config_checks import Checker
from parcours.pipelines.layers import COMMAND_LINE, Layer, Place, Resolver, by_name, merge, read_layer, walk
from parcours.pipelines.mistakes import ConfigError, Mistake
from parcours.pipelines.secrets import MASK, Secrets, looks_secret
from parcours.pipelines.taxonomy_files import with_taxonomy_files
from parcours.pipelines.toml_text import plain
from parcours.schemas.config import Config

DEFAULT_FILE = Path("parcours.toml")
"""The config that commands read when no other is named."""

_OF_THE_STORE = ("store", "publish")
"""Tables that say where the store is, and where its copy."""


@dataclass(frozen=True)
class LoadedConfig:
    """A config, and what is known about how it came to be.

    Attributes:
        config: the validated config; it holds the secrets in the clear.
        secrets: masks them in any text.
        warnings: what is allowed but probably not meant.
        from_variables: the places whose value came from the environment.
    """

    config: Config
    secrets: Secrets
    warnings: tuple[str, ...]
    from_variables: frozenset[Place]

    def shown(self) -> dict[str, Any]:
        """Return the effective config as plain data with every secret masked; what is not set is left out."""
        sources = [source.name for source in self.config.source]
        return {key: self._shown(value, (key,), sources) for key, value in plain(self._dump()).items()}

    def _dump(self) -> dict[str, Any]:
        return self.config.model_dump(mode="python", exclude_none=True)

    def _shown(self, value: Any, place: Place, sources: Sequence[str]) -> Any:
        if isinstance(value, dict):
            inner = {key: self._shown(entry, (*place, key), sources) for key, entry in value.items()}
            return {key: entry for key, entry in inner.items() if entry not in ({}, [])}
        if isinstance(value, list):
            keys = sources if place == ("source",) else range(len(value))
            return [
                self._shown(entry, (*place, key), sources) for key, entry in zip(keys, value, strict=True)
            ]
        key = next((part for part in reversed(place) if isinstance(part, str)), "")
        if looks_secret(key) or any(place[:end] in self.from_variables for end in range(len(place) + 1)):
            return MASK
        return self.secrets.mask(value) if isinstance(value, str) and "://" in value else value


def load_config(
    paths: Sequence[Path],
    overrides: Mapping[str, Any],
    environ: Mapping[str, str],
    *,
    check_files: bool = True,
) -> Config:
    """Read config layers and flags into one validated config; see ``read_config``."""
    return read_config(paths, overrides, environ, check_files=check_files).config


def read_config(
    paths: Sequence[Path],
    overrides: Mapping[str, Any],
    environ: Mapping[str, str],
    *,
    check_files: bool = True,
    only_store: bool = False,
    with_sources: bool = True,
) -> LoadedConfig:
    """Read config layers and flags into one validated config, with its secrets and warnings.

    Tables merge key by key and ``[[source]]`` blocks by their name; later layers win, and flags over all.
    ``${PARCOURS_X}`` is replaced by the variable, or by what is in the file that ``PARCOURS_X_FILE`` names.
    Relative paths are relative to the file that they stand in, flags to the working folder. The words of
    the taxonomy's CSV files stand beside those of ``[taxonomy]``.

    Args:
        paths: TOML files, the base first.
        overrides: what flags say, nested as the config is; ``source`` is a list of tables.
        environ: the environment.
        check_files: whether the files that sources read must be there. Not for commands that only look at the
            store: loaded files may be moved away.
        only_store: leave all but ``[store]`` and ``[publish]`` aside, for who looks at a store without its
            sources' secrets.
        with_sources: whether to read ``[[source]]`` at all; what looks at a store by the rules needs none.

    Raises:
        ConfigError: something is wrong; it lists everything that is.
    """
    home = paths[0].parent if paths else Path()
    layers = [Layer("default", home, {"store": {"path": "parcours.duckdb"}})]
    mistakes: list[Mistake] = []
    for number, path in enumerate(paths):
        data = read_layer(path)
        if isinstance(data, Mistake):
            mistakes.append(data)
        else:
            kept = {
                key: value
                for key, value in data.items()
                if key in _OF_THE_STORE or not (only_store or (key == "source" and not with_sources))
            }
            data, found = by_name(number, str(path), kept)
            mistakes += found
            layers.append(Layer(str(path), path.parent, data))
    unreadable = bool(mistakes) and len(layers) <= len(paths)
    if overrides:
        data, found = by_name(len(paths), COMMAND_LINE, overrides)
        mistakes += found
        layers.append(Layer(COMMAND_LINE, Path(), data))

    written: dict[Any, Any] = {}
    for layer in layers:
        written = merge(written, layer.data)
    secrets = Secrets()
    walk(written, lambda place, text: secrets.add([text]) if _is_secret(place) else None)
    resolver = Resolver(layers, environ, secrets)
    resolved, wrong_words = with_taxonomy_files(walk(written, resolver))
    mistakes += wrong_words

    sources = resolved.get("source", {})
    listed = {**resolved, "source": list(sources.values())} if sources else resolved
    config: Config | None = None
    errors: Sequence[Mapping[str, Any]] = ()
    try:
        config = Config.model_validate(listed)
    except ValidationError as error:
        errors = [{**found} for found in error.errors(include_url=False)]
    checker = Checker(layers, written, resolved, secrets, resolver.unresolved, lenient=unreadable)
    mistakes += [*resolver.mistakes, *checker.of_models(errors), *checker.of_sources(check_files=check_files)]
    mistakes += [*checker.of_ladder(), *checker.of_segments(), *checker.of_dead_letters()]
    mistakes += checker.of_rules(config)
    mistakes += checker.of_figures(config) if config is not None else []
    if mistakes or config is None:
        raise ConfigError(mistakes)
    return LoadedConfig(
        config,
        secrets,
        tuple(secrets.mask(text) for text in checker.warnings(config)),
        frozenset(resolver.from_variables),
    )


def _is_secret(place: Place) -> bool:
    return looks_secret(next((part for part in reversed(place) if isinstance(part, str)), ""))


__all__ = ["DEFAULT_FILE", "ConfigError", "LoadedConfig", "Mistake", "load_config", "read_config"]
