-- One row per product_usage and version of it. Generated from the ownership document by `sor marts`; change the document instead.
{{ config(unique_key=["product_usage_id", "from_publication"]) }}

{{ versions_of("product_usage") }}
