-- One row per contact: who it is, who looks after it, what happened with it, and what its account is worth.
with tickets as (
    select
        requester as contact_id,
        count(*) as tickets,
        count(*) filter (where status in ('new', 'open', 'pending')) as open_tickets,
        max(opened_at) as last_ticket_at
    from {{ source('conformed', 'ticket') }}
    where requester is not null
    group by requester
),

interactions as (
    select
        contact_id,
        count(*) as interactions,
        max(happened_at) filter (where channel = 'email') as last_email_at,
        max(happened_at) filter (where channel = 'help_desk') as last_help_desk_at,
        max(happened_at) filter (where channel = 'phone') as last_phone_at
    from {{ ref('fct_interaction') }}
    where contact_id is not null
    group by contact_id
),

conflicts as (
    select entity_id as contact_id, count(*) as open_conflicts
    from {{ source('conformed', 'conflict') }}
    where entity = 'contact' and closed_in is null
    group by entity_id
)

select
    contacts.contact_id,
    coalesce(
        contacts.full_name,
        {{ full_name('contacts.first_name', 'contacts.last_name') }}
    ) as name,
    contacts.email,
    contacts.phone,
    contacts.job_title,
    contacts.stage,
    contacts.country,
    contacts.opted_in,
    contacts.owner as owner_id,
    {{ full_name('owners.first_name', 'owners.last_name') }} as owner_name,
    contacts.account as account_id,
    accounts.name as account_name,
    accounts.segment as account_segment,
    accounts.open_deals as account_open_deals,
    accounts.mrr as account_mrr,
    accounts.mrr_currency as account_mrr_currency,
    accounts.last_used_on as account_last_used_on,
    accounts.events_28_days as account_events_28_days,
    coalesce(tickets.tickets, 0) as tickets,
    coalesce(tickets.open_tickets, 0) as open_tickets,
    tickets.last_ticket_at,
    coalesce(interactions.interactions, 0) as interactions,
    interactions.last_email_at,
    interactions.last_help_desk_at,
    interactions.last_phone_at,
    coalesce(conflicts.open_conflicts, 0) as open_conflicts
from {{ source('conformed', 'contact') }} as contacts
left join {{ source('conformed', 'employee') }} as owners on owners.employee_id = contacts.owner
left join {{ ref('account_360') }} as accounts on accounts.account_id = contacts.account
left join tickets using (contact_id)
left join interactions using (contact_id)
left join conflicts using (contact_id)
