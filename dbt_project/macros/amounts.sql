{# Money of several currencies is never added up: a total is null where there is more than one. #}

{% macro total(amount, currency, where) -%}
    case
        when count(distinct coalesce({{ currency }}, '?')) filter (where {{ where }}) <= 1
            then sum({{ amount }}) filter (where {{ where }})
    end
{%- endmacro %}

{% macro currency_of_total(currency, where) -%}
    case
        when count(distinct coalesce({{ currency }}, '?')) filter (where {{ where }}) = 1
            then min({{ currency }}) filter (where {{ where }})
    end
{%- endmacro %}
