"""Splink, and where it runs: a DuckDB of its own in memory, fed over Arrow whatever the warehouse is.

Belongs here: everything that names Splink. Does not: what is compared (`levels`), what agreement is worth
(`learning`). Splink makes many tables; in the warehouse they would be part of its transaction and its file.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pyarrow as pa

from sor_pipeline.engine import quoting
from sor_pipeline.identify.similar.levels import Comparison, Test

SEED = 20
PAIRS_AT_ONCE = 1_000_000
"""Pairs whose records and scores are in memory together."""
_MEMORY_GB = 2.0
_NOT_SEEN = "level not observed in training dataset"


class Splink:
    """Scores pairs of the records in `features` (node and derived columns) by a Splink settings dictionary."""

    def __init__(self, settings: dict[str, Any], features: pl.DataFrame, spill: Path) -> None:
        from splink import DuckDBAPI, Linker, SettingsCreator

        logging.getLogger("splink").setLevel(logging.CRITICAL)
        self._api = DuckDBAPI()
        told = {
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "memory_limit": quoting.text(f"{_MEMORY_GB}GB"),
            "temp_directory": quoting.text(str(spill)),
            "preserve_insertion_order": "false",
            "enable_progress_bar": "false",
        }
        for name, value in told.items():
            self._api.duckdb_con.execute(quoting.setting(name, value))
        records = self._api.register(features.rename({"node": "unique_id"}).to_arrow(), table_name="records")
        creator = SettingsCreator.from_path_or_dict(settings)
        self._linker = Linker(records, creator, log_level=None, validate_settings=False)
        self._frequencies(features, settings)

    def _frequencies(self, features: pl.DataFrame, settings: dict[str, Any]) -> None:
        """Records carry their own frequencies, as the model knows them; Splink is kept from counting any."""
        levels = (level for one in settings["comparisons"] for level in one["comparison_levels"])
        for column in dict.fromkeys(level.get("tf_adjustment_column") for level in levels):
            if column and f"tf_{column}" in features.columns:
                none = pa.table({column: pa.array([], pa.string()), f"tf_{column}": pa.array([], pa.float64())})
                table = self._api.register(none, table_name=f"no_tf_{column}")
                self._linker.table_management.register_term_frequency_lookup(table, column)

    def scored(self, pairs: pl.DataFrame, least: float | None = None) -> Iterator[pl.DataFrame]:
        """Grain: one pair (left, right, weight, probability, gamma_<comparison>, <column>_l, <column>_r).

        `pairs`: left and right node. `least`: the probability below which a pair is left out.
        """
        for start in range(0, pairs.height, PAIRS_AT_ONCE):
            some = pairs.slice(start, PAIRS_AT_ONCE).select(
                pl.col("left").alias("join_key_l"), pl.col("right").alias("join_key_r"), pl.lit("0").alias("match_key")
            )
            name = f"pairs_{start}"
            registered = self._api.register(some.to_arrow(), table_name=name)
            self._linker.table_management.register_blocked_pairs_for_predict(registered)
            found = self._linker.inference.predict(threshold_match_probability=least, warning_mode="never")
            frame = pl.from_arrow(found.as_pyarrow_table())  # type: ignore[no-untyped-call]
            found.drop_table_from_database_and_remove_from_cache()
            self._api.duckdb_con.unregister(name)
            assert isinstance(frame, pl.DataFrame)
            yield frame.rename(
                {
                    "unique_id_l": "left",
                    "unique_id_r": "right",
                    "match_weight": "weight",
                    "match_probability": "probability",
                }
            )

    def random_agreement(self, max_pairs: float) -> dict[str, list[float | None]]:
        """Per comparison, from best level to worst: the share of any two records that agree so; None: never seen."""
        self._linker.training.estimate_u_using_random_sampling(max_pairs=max_pairs, seed=SEED)
        learned = self._linker.misc.save_model_to_json()
        return {
            one["output_column_name"]: [
                None if level.get("u_probability") in (None, _NOT_SEEN) else float(level["u_probability"])
                for level in one["comparison_levels"]
                if not level.get("is_null_level")
            ]
            for one in learned["comparisons"]
        }

    def waterfall(self, record: dict[str, Any]) -> tuple[dict[str, Any], str]:
        """Splink's waterfall chart of one scored pair: a Vega-Lite specification, and a page that needs no network."""
        columns = {
            "left": "unique_id_l",
            "right": "unique_id_r",
            "weight": "match_weight",
            "probability": "match_probability",
        }
        told = {columns.get(name, name): value for name, value in record.items()}
        chart = self._linker.visualisations.waterfall_chart([told], filter_nulls=False)
        return chart.chart_dict, chart.to_html(inline=True)

    def close(self) -> None:
        self._api.duckdb_con.close()


@contextmanager
def opened(settings: dict[str, Any], features: pl.DataFrame, home: Path) -> Iterator[Splink]:
    """Splink over these records for one piece of work; what does not fit into memory is spilled below `home`."""
    with TemporaryDirectory(prefix="splink-", dir=home if home.is_dir() else None) as spill:
        splink = Splink(settings, features, Path(spill))
        try:
            yield splink
        finally:
            splink.close()


def settings_of(comparisons: tuple[Comparison, ...], least_share: float) -> dict[str, Any]:
    """The comparisons in Splink's words, without anything learned; a model fits if it compares just that."""
    from splink import SettingsCreator
    from splink.comparison_library import CustomComparison

    creator = SettingsCreator(
        link_type="dedupe_only",
        comparisons=[
            CustomComparison(
                output_column_name=one.name, comparison_levels=[*_missing(one), *_levels(one, least_share)]
            )
            for one in comparisons
        ],
        retain_matching_columns=True,
        retain_intermediate_calculation_columns=True,
        linker_uid="sor",
    )
    settings: dict[str, Any] = creator.create_settings_dict("duckdb")
    return settings


def _missing(one: Comparison) -> list[Any]:
    from splink import comparison_level_library as cll

    absent = [cll.NullLevel(column) for column in one.missing]
    level = absent[0] if len(absent) == 1 else cll.And(*absent)
    levels = [level.configure(is_null_level=True, label_for_charts="missing")]
    if one.only_if:
        apart = cll.Not(cll.ExactMatchLevel(one.only_if))
        levels.append(apart.configure(is_null_level=True, label_for_charts="not comparable"))
    return levels


def _levels(one: Comparison, least_share: float) -> list[Any]:
    made = []
    for position, level in enumerate(one.levels):
        creator = _creator(level.test)
        if position == 0 and one.frequent and one.part.common:
            creator = creator.configure(tf_adjustment_column=one.frequent, tf_minimum_u_value=least_share)
        made.append(creator.configure(label_for_charts=level.label, is_null_level=level.silent))
    return made


def _creator(test: Test) -> Any:
    from splink import comparison_level_library as cll

    word, *told = test
    if word in ("and", "or"):
        return (cll.And if word == "and" else cll.Or)(*(_creator(one) for one in told))
    makers: dict[str, Callable[..., Any]] = {
        "else": cll.ElseLevel,
        "same": cll.ExactMatchLevel,
        "alike": cll.JaroWinklerLevel,
        "edits": cll.DamerauLevenshteinLevel,
        "overlap": cll.ArrayIntersectLevel,
        "within": cll.ArraySubsetLevel,
        "near": cll.AbsoluteDifferenceLevel,
        "lead": cll.ColumnsReversedLevel,
        "crossed": lambda one, other: cll.ColumnsReversedLevel(one, other, symmetrical=True),
    }
    return makers[word](*told)
