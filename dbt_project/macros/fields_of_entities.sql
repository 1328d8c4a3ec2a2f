{# Generated from the ownership document by `sor marts`; change the document instead. #}
{% macro fields_of_entities() %}
{{ return({
    "contact": ["email", "first_name", "last_name", "full_name", "phone", "job_title", "stage", "country", "language", "account", "owner", "opted_in", "tags", "first_seen"],
    "account": ["name", "domain", "website", "phone", "industry", "street", "city", "subdivision", "postal_code", "country", "segment", "territory", "account_manager", "key_account", "currency", "balance", "delinquent", "billing_email", "billing_metadata", "headcount", "customer_since", "description", "known_as", "last_interaction_at", "open_tickets", "mrr", "usage_30d"],
    "deal": ["name", "account", "owner", "stage", "amount", "currency", "closes_on"],
    "employee": ["email", "first_name", "last_name", "job_title", "department", "phone", "manager", "hired_on", "active"],
    "subscription": ["account", "plan", "status", "seats", "price", "currency", "ends_at_period", "started_at", "period_end"],
    "ticket": ["subject", "status", "priority", "channel", "requester", "account", "opened_at"],
    "interaction": ["contact", "channel", "kind", "happened_at", "subject", "minutes"],
    "product_usage": ["account", "day", "active_users", "events", "hours"]
}) }}
{% endmacro %}
