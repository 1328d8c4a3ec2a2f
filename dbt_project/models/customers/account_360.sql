-- One row per account: who it is, who looks after it, and what became of it everywhere.
{% set paying = "status in ('active', 'past_due')" %}
{% set lately = "day between today.published_on - 27 and today.published_on" %}
{% set still_open = "stage not in ('won', 'lost')" %}

with people as (
    select
        account as account_id,
        count(*) as contacts,
        count(*) filter (where opted_in) as contacts_opted_in
    from {{ source('conformed', 'contact') }}
    where account is not null
    group by account
),

deals as (
    select
        account as account_id,
        count(*) filter (where {{ still_open }}) as open_deals,
        {{ total('amount', 'currency', still_open) }} as open_deal_amount,
        {{ currency_of_total('currency', still_open) }} as open_deal_currency,
        count(*) filter (where stage = 'won') as won_deals,
        {{ total('amount', 'currency', "stage = 'won'") }} as won_deal_amount,
        {{ currency_of_total('currency', "stage = 'won'") }} as won_deal_currency
    from {{ source('conformed', 'deal') }}
    where account is not null
    group by account
),

subscriptions as (
    select
        account as account_id,
        count(*) filter (where {{ paying }}) as subscriptions,
        sum(seats) filter (where {{ paying }}) as seats,
        {{ total('seats * price', 'currency', paying) }} as mrr,
        {{ currency_of_total('currency', paying) }} as mrr_currency
    from {{ source('conformed', 'subscription') }}
    where account is not null
    group by account
),

tickets as (
    select
        account as account_id,
        count(*) as tickets,
        count(*) filter (where status in ('new', 'open', 'pending')) as open_tickets,
        max(opened_at) as last_ticket_at
    from {{ source('conformed', 'ticket') }}
    where account is not null
    group by account
),

usage as (
    select
        account as account_id,
        max(day) as last_used_on,
        sum(events) filter (where {{ lately }}) as events_28_days,
        sum(hours) filter (where {{ lately }}) as hours_28_days,
        max(active_users) filter (where {{ lately }}) as most_active_users_28_days
    from {{ source('conformed', 'product_usage') }}
    inner join {{ ref('dim_publication') }} as today on today.is_current
    group by account
),

interactions as (
    select
        account_id,
        count(*) as interactions,
        max(happened_at) filter (where channel = 'email') as last_email_at,
        max(happened_at) filter (where channel = 'help_desk') as last_help_desk_at,
        max(happened_at) filter (where channel = 'phone') as last_phone_at
    from {{ ref('fct_interaction') }}
    where account_id is not null
    group by account_id
),

conflicts as (
    select entity_id as account_id, count(*) as open_conflicts
    from {{ source('conformed', 'conflict') }}
    where entity = 'account' and closed_in is null
    group by entity_id
)

select
    accounts.account_id,
    accounts.name,
    accounts.domain,
    accounts.segment,
    accounts.territory,
    accounts.country,
    accounts.delinquent,
    accounts.account_manager as owner_id,
    {{ full_name('managers.first_name', 'managers.last_name') }} as owner_name,
    coalesce(people.contacts, 0) as contacts,
    coalesce(people.contacts_opted_in, 0) as contacts_opted_in,
    coalesce(deals.open_deals, 0) as open_deals,
    deals.open_deal_amount,
    deals.open_deal_currency,
    coalesce(deals.won_deals, 0) as won_deals,
    deals.won_deal_amount,
    deals.won_deal_currency,
    coalesce(subscriptions.subscriptions, 0) as subscriptions,
    cast(coalesce(subscriptions.seats, 0) as bigint) as seats,
    subscriptions.mrr,
    subscriptions.mrr_currency,
    coalesce(tickets.tickets, 0) as tickets,
    coalesce(tickets.open_tickets, 0) as open_tickets,
    tickets.last_ticket_at,
    usage.last_used_on,
    cast(coalesce(usage.events_28_days, 0) as bigint) as events_28_days,
    coalesce(usage.hours_28_days, 0) as hours_28_days,
    coalesce(usage.most_active_users_28_days, 0) as most_active_users_28_days,
    coalesce(interactions.interactions, 0) as interactions,
    interactions.last_email_at,
    interactions.last_help_desk_at,
    interactions.last_phone_at,
    coalesce(conflicts.open_conflicts, 0) as open_conflicts
from {{ source('conformed', 'account') }} as accounts
left join {{ source('conformed', 'employee') }} as managers on managers.employee_id = accounts.account_manager
left join people using (account_id)
left join deals using (account_id)
left join subscriptions using (account_id)
left join tickets using (account_id)
left join usage using (account_id)
left join interactions using (account_id)
left join conflicts using (account_id)
