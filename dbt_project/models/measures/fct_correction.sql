-- One row per correction: one column of one record that a system must change, or had to.
with corrections as (
    select * from {{ source('conformed', 'correction') }}
),

published as (
    select publication, published_at, published_on from {{ ref('dim_publication') }}
)

select
    corrections.source || '/' || corrections.source_key || '/' || corrections.field
    || '/' || cast(corrections.proposed_in as varchar) as correction_id,
    corrections.system,
    corrections.source,
    corrections.source_key,
    corrections."column" as target_column,
    corrections.entity,
    corrections.entity_id,
    corrections.field,
    corrections.owner,
    corrections.rule,
    corrections.observed,
    corrections.wanted,
    corrections.state,
    corrections.state in ('proposed', 'delivered') as is_open,
    corrections.state = 'confirmed' as is_confirmed,
    corrections.proposed_in,
    proposed.published_at as proposed_at,
    proposed.published_on as proposed_on,
    corrections.closed_in,
    closed.published_at as closed_at,
    closed.published_on - proposed.published_on as days_to_close
from corrections
inner join published as proposed on proposed.publication = corrections.proposed_in
left join published as closed on closed.publication = corrections.closed_in
