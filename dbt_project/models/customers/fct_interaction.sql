-- One row per interaction: something that happened between a contact and us, on any channel.
select
    interactions.interaction_id,
    interactions.contact as contact_id,
    contacts.account as account_id,
    interactions.channel,
    interactions.kind,
    interactions.happened_at,
    cast(interactions.happened_at as date) as happened_on,
    interactions.subject,
    interactions.minutes
from {{ source('conformed', 'interaction') }} as interactions
left join {{ source('conformed', 'contact') }} as contacts on contacts.contact_id = interactions.contact
