-- One row per field: who owns it, who else has a part in it, and how much of it the owner really says.
with parts as (
    select
        entity,
        field,
        max(case when owns then system end) as owner,
        {{ systems_that('exception') }} as exceptions,
        {{ systems_that('fallback') }} as fallbacks,
        {{ systems_that('taken_from') }} as taken_from,
        {{ systems_that('contributes') }} as contributors,
        {{ systems_that('corrected') }} as corrected,
        {{ systems_that('reflected') }} as reflected
    from {{ source('conformed', 'ownership') }}
    group by entity, field
),

cells as (
    select
        entity,
        field,
        sum(cells) as rows_published,
        sum(filled) as filled,
        sum(case when rule = 'owner' then filled else 0 end) as from_owner,
        sum(case when rule = 'exception' then filled else 0 end) as from_exception,
        sum(case when rule in ('fallback', 'stale_owner') then filled else 0 end) as from_fallback,
        sum(case when rule = 'take' then filled else 0 end) as from_take,
        sum(case when rule = 'decision' then filled else 0 end) as from_decision,
        sum(case when rule = 'hold' then filled else 0 end) as on_hold
    from {{ ref('cell_origin') }}
    group by entity, field
)

select
    entity,
    field,
    owner,
    exceptions,
    fallbacks,
    taken_from,
    contributors,
    corrected,
    reflected,
    cast(coalesce(rows_published, 0) as bigint) as rows_published,
    cast(coalesce(filled, 0) as bigint) as filled,
    cast(coalesce(from_owner, 0) as bigint) as from_owner,
    cast(coalesce(from_exception, 0) as bigint) as from_exception,
    cast(coalesce(from_fallback, 0) as bigint) as from_fallback,
    cast(coalesce(from_take, 0) as bigint) as from_take,
    cast(coalesce(from_decision, 0) as bigint) as from_decision,
    cast(coalesce(on_hold, 0) as bigint) as on_hold,
    {{ share('filled', 'rows_published') }} as fill_rate,
    {{ share('from_owner', 'filled') }} as owner_share
from parts
left join cells using (entity, field)
