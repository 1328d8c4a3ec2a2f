-- One row per publication: one atomic change of all conformed tables.
select
    publication,
    published_at,
    cast(published_at as date) as published_on,
    publication = max(publication) over () as is_current,
    fingerprint,
    created,
    changed,
    retired,
    conflicts as open_conflicts
from {{ source('conformed', 'publication') }}
