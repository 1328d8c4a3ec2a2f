-- One row per subscription and version of it. Generated from the ownership document by `sor marts`; change the document instead.
{{ config(unique_key=["subscription_id", "from_publication"]) }}

{{ versions_of("subscription") }}
