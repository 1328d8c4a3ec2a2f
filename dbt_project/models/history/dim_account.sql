-- One row per account and version of it. Generated from the ownership document by `sor marts`; change the document instead.
{{ config(unique_key=["account_id", "from_publication"]) }}

{{ versions_of("account") }}
