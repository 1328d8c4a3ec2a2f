-- One row per contact and version of it. Generated from the ownership document by `sor marts`; change the document instead.
{{ config(unique_key=["contact_id", "from_publication"]) }}

{{ versions_of("contact") }}
