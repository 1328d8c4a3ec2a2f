"""Columns that loaders add to the tables they land: about the loading, not about the record.

Belongs here: the names that Airbyte, Fivetran and dlt use, and what they are good for. Does not: reading tables
(`extract`).

Sources: Airbyte `_airbyte_*` (both table formats) and `_ab_*` (what its connectors add), Fivetran `_fivetran_*`,
dlt `_dlt_*`.
"""

from __future__ import annotations

BOOKKEEPING = frozenset(
    {
        "_airbyte_raw_id", "_airbyte_extracted_at", "_airbyte_loaded_at", "_airbyte_meta", "_airbyte_generation_id",
        "_airbyte_ab_id", "_airbyte_emitted_at", "_airbyte_normalized_at", "_airbyte_unique_key",
        "_ab_source_file_last_modified", "_ab_source_file_url", "_ab_cdc_lsn", "_ab_cdc_updated_at",
        "_ab_cdc_cursor", "_ab_cdc_log_file", "_ab_cdc_log_pos", "_ab_cdc_deleted_at",
        "_fivetran_id", "_fivetran_synced", "_fivetran_deleted", "_fivetran_active", "_fivetran_start", "_fivetran_end",
        "_fivetran_index",
        "_dlt_load_id", "_dlt_id", "_dlt_parent_id", "_dlt_root_id", "_dlt_list_idx",
        "_dlt_valid_from", "_dlt_valid_to",
    }
)  # fmt: skip
LOADED_AT = ("_airbyte_extracted_at", "_airbyte_emitted_at", "_fivetran_synced", "_dlt_load_id")
"""When a row was loaded: a cursor, but not a time of change."""
DELETED = ("_fivetran_deleted", "_ab_cdc_deleted_at")
"""What says that a record is gone."""
ANY = "*"
"""Among the texts that mean deleted: any text that is not blank."""
_TRUE = ("true", "TRUE", "True", "t", "1", "yes", "Y")


def is_bookkeeping(column: str) -> bool:
    """Whether a loader added the column."""
    return column.lower() in BOOKKEEPING


def deletion_texts(column: str) -> tuple[str, ...]:
    """The texts that mean deleted in a column of that name: any in a time of deletion, else true."""
    return (ANY,) if column.lower().endswith("deleted_at") else _TRUE
