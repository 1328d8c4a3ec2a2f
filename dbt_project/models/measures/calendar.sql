-- One row per day from the first publication to the last.
with recursive span as (
    select min(published_on) as first_day, max(published_on) as last_day
    from {{ ref('dim_publication') }}
),

days (date_day, last_day) as (
    select first_day, last_day from span where first_day is not null
    union all
    select cast(date_day + 1 as date), last_day from days where date_day < last_day
)

select date_day from days
