-- One row per ticket and version of it. Generated from the ownership document by `sor marts`; change the document instead.
{{ config(unique_key=["ticket_id", "from_publication"]) }}

{{ versions_of("ticket") }}
