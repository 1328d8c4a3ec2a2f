-- One row per field and system that maps it: how often it says what is canonical, as of the current publication.
with claims as (
    select
        entity,
        field,
        system,
        sum(records) as records,
        sum("values") as claimed,
        sum(cleared) as cleared,
        sum(placeholders) as placeholders
    from {{ source('conformed', 'claims') }}
    inner join {{ ref('dim_publication') }} using (publication)
    where is_current
    group by entity, field, system
),

conflicts as (
    select
        entity,
        field,
        system,
        count(*) filter (where kind in ('differs', 'owner_disagrees_with_itself') and claimed is not null) as differing,
        count(*) filter (where kind in ('differs', 'owner_disagrees_with_itself') and claimed is null) as cleared_only_here,
        count(*) filter (where kind = 'missing_at_owner') as missing_at_owner,
        count(*) filter (where kind = 'dangling_reference') as dangling
    from {{ source('conformed', 'conflict') }}
    where closed_in is null
    group by entity, field, system
),

compared as (
    select
        entity,
        field,
        system,
        cast(records as bigint) as records,
        cast(claimed as bigint) as claimed,
        cast(cleared as bigint) as cleared,
        cast(placeholders as bigint) as placeholders,
        coalesce(differing, 0) as differing,
        coalesce(cleared_only_here, 0) as cleared_only_here,
        coalesce(missing_at_owner, 0) as missing_at_owner,
        coalesce(dangling, 0) as dangling,
        cast(claimed - coalesce(missing_at_owner, 0) - coalesce(dangling, 0) as bigint) as comparable
    from claims
    left join conflicts using (entity, field, system)
)

select
    entity,
    field,
    system,
    coalesce(owns, false) as owns,
    coalesce(corrected, false) as corrected,
    records,
    claimed,
    cleared,
    placeholders,
    missing_at_owner,
    dangling,
    comparable,
    differing,
    cleared_only_here,
    comparable - differing as agreeing,
    {{ share('comparable - differing', 'comparable') }} as agreement
from compared
left join {{ source('conformed', 'ownership') }} using (entity, field, system)
