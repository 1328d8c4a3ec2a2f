{% test unique_together(model, columns) %}
-- Fails with the rows' keys that occur more than once.
select {{ columns | join(', ') }}, count(*) as rows_with_it
from {{ model }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
