{% test not_negative(model, column_name) %}
-- Fails with the rows below nothing.
select {{ column_name }}
from {{ model }}
where {{ column_name }} < 0
{% endtest %}
