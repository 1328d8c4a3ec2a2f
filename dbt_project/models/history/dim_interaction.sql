-- One row per interaction and version of it. Generated from the ownership document by `sor marts`; change the document instead.
{{ config(unique_key=["interaction_id", "from_publication"]) }}

{{ versions_of("interaction") }}
