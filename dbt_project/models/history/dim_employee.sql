-- One row per employee and version of it. Generated from the ownership document by `sor marts`; change the document instead.
{{ config(unique_key=["employee_id", "from_publication"]) }}

{{ versions_of("employee") }}
