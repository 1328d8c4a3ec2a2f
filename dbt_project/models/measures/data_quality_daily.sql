-- One row per day and expectation: what the last publication up to that day's end found.
with last_of_day as (
    select calendar.date_day, max(published.publication) as publication
    from {{ ref('calendar') }} as calendar
    inner join {{ ref('dim_publication') }} as published on published.published_on <= calendar.date_day
    group by calendar.date_day
)

select
    date_day,
    entity,
    expectation,
    field,
    severity,
    publication,
    passed,
    coalesce(checked, 0) as checked,
    coalesce(failed, 0) as failed,
    {{ share('coalesce(checked, 0) - coalesce(failed, 0)', 'checked') }} as pass_rate
from last_of_day
inner join {{ source('conformed', 'finding') }} using (publication)
