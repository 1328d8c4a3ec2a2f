-- One row per day, field, kind and pair of systems: disagreements opened and closed on it, and open at its end.
with conflicts as (
    select entity, field, coalesce(owner, 'nobody') as owner, system, kind, opened_in, closed_in
    from {{ source('conformed', 'conflict') }}
),

events as (
    select opened_in as publication, entity, field, owner, system, kind, 1 as opened, 0 as closed from conflicts
    union all
    select closed_in, entity, field, owner, system, kind, 0, 1 from conflicts where closed_in is not null
),

movements as (
    select published_on as date_day, entity, field, owner, system, kind, sum(opened) as opened, sum(closed) as closed
    from events
    inner join {{ ref('dim_publication') }} using (publication)
    group by published_on, entity, field, owner, system, kind
),

disagreements as (
    select entity, field, owner, system, kind, min(date_day) as first_day
    from movements
    group by entity, field, owner, system, kind
),

days as (
    select calendar.date_day, disagreements.*
    from disagreements
    inner join {{ ref('calendar') }} as calendar on calendar.date_day >= disagreements.first_day
)

select
    date_day,
    entity,
    field,
    owner,
    system,
    kind,
    cast(coalesce(opened, 0) as bigint) as opened,
    cast(coalesce(closed, 0) as bigint) as closed,
    cast(sum(coalesce(opened, 0) - coalesce(closed, 0)) over (
        partition by entity, field, owner, system, kind
        order by date_day
    ) as bigint) as open_at_end
from days
left join movements using (date_day, entity, field, owner, system, kind)
