-- One row per deal and version of it. Generated from the ownership document by `sor marts`; change the document instead.
{{ config(unique_key=["deal_id", "from_publication"]) }}

{{ versions_of("deal") }}
