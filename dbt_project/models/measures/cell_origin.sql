-- One row per field, system and rule: the cells of the current conformed tables that are decided so.
{%- set entities = fields_of_entities() %}

with
{%- for entity, fields in entities.items() %}
{{ entity }}_cells as (
    select
        {%- for field in fields %}
        holds.{{ adapter.quote(field) }} is not null as {{ adapter.quote(field) }},
        said.{{ adapter.quote(field ~ '_system') }},
        said.{{ adapter.quote(field ~ '_rule') }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ source('conformed', entity) }} as holds
    inner join {{ source('conformed', entity ~ '_source') }} as said using ({{ entity }}_id)
){{ ',' if not loop.last }}
{% endfor %}
{%- for entity, fields in entities.items() %}
{%- set first_entity = loop.first %}
{%- for field in fields %}
{%- set system, rule = adapter.quote(field ~ '_system'), adapter.quote(field ~ '_rule') %}
{{ 'union all' if not (first_entity and loop.first) }}
select
    '{{ entity }}' as entity,
    '{{ field }}' as field,
    {{ system }} as system,
    {{ rule }} as rule,
    count(*) as cells,
    count(*) filter (where {{ adapter.quote(field) }}) as filled
from {{ entity }}_cells
group by {{ system }}, {{ rule }}
{%- endfor %}
{%- endfor %}
