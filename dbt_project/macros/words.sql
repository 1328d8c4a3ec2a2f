{# A part of a whole, 0 to 1; null where there is nothing to be a part of. #}
{% macro share(part, whole) -%}
    cast(round(cast({{ part }} as numeric) / nullif({{ whole }}, 0), 4) as double precision)
{%- endmacro %}

{# First and last name as one; null where there is neither. #}
{% macro full_name(first_name, last_name) -%}
    nullif(trim(coalesce({{ first_name }}, '') || ' ' || coalesce({{ last_name }}, '')), '')
{%- endmacro %}

{# Systems that have a role, in alphabetical order. #}
{% macro systems_that(role) -%}
    string_agg(system, ', ' order by system) filter (where {{ role }})
{%- endmacro %}
