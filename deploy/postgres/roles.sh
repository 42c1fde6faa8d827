#!/bin/sh
# Gives a new PostgreSQL what Temporal and the engine need: a role each, and databases that the other cannot open.
# Speaks to the server that psql's own variables name (PGHOST, PGPORT, ...), as its superuser.
set -eu
# Read by psql itself: on its command line the passwords could be seen by every process.
: "${TEMPORAL_DATABASE_PASSWORD:?is not set}" "${ENGINE_DATABASE_PASSWORD:?is not set}"
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\getenv temporal_password TEMPORAL_DATABASE_PASSWORD
\getenv engine_password ENGINE_DATABASE_PASSWORD
CREATE ROLE temporal LOGIN PASSWORD :'temporal_password';
CREATE ROLE order_engine LOGIN PASSWORD :'engine_password';
CREATE DATABASE temporal OWNER temporal;
CREATE DATABASE temporal_visibility OWNER temporal;
CREATE DATABASE order_engine OWNER order_engine;
REVOKE CONNECT ON DATABASE postgres, temporal, temporal_visibility, order_engine FROM PUBLIC;
SQL
