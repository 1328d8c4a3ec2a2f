{# The versions of an entity, from its history: never changed but for the end of one, so a build adds what is new. #}
{% macro versions_of(entity) -%}
with versions as (
    select * from {{ source('conformed', entity ~ '_history') }}
    {%- if is_incremental() %}
    where coalesce(to_publication, from_publication) > (
        select coalesce(max(coalesce(to_publication, from_publication)), 0) from {{ this }}
    )
    {%- endif %}
)

select
    {{ entity }}_id,
    from_publication,
    valid_from,
    to_publication,
    valid_to
    {%- for field in fields_of_entities()[entity] %},
    {{ adapter.quote(field) }}
    {%- endfor %}
from versions
{%- endmacro %}
