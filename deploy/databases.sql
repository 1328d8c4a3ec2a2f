-- Run once, by psql as the server's superuser: a database for Dagster, and one for the warehouse. Passwords come from
-- the environment of psql (needs psql 14 or newer); each owner may enter its own database only.
\set ON_ERROR_STOP on
\getenv dagster_password DAGSTER_PG_PASSWORD
\getenv sor_password SOR_PG_PASSWORD

CREATE ROLE dagster LOGIN PASSWORD :'dagster_password';
CREATE DATABASE dagster OWNER dagster TEMPLATE template0;
REVOKE ALL ON DATABASE dagster FROM PUBLIC;

CREATE ROLE sor LOGIN PASSWORD :'sor_password';
CREATE DATABASE sor OWNER sor TEMPLATE template0;
REVOKE ALL ON DATABASE sor FROM PUBLIC;
