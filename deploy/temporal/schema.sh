#!/bin/sh
# Brings Temporal's two databases to this version's tables. May run again at every start, and does at an upgrade.
set -eu
for database in temporal temporal_visibility; do
    schema=${database#temporal_}
    temporal-sql-tool --database "$database" setup-schema --version 0.0
    temporal-sql-tool --database "$database" update-schema \
        --schema-dir "/etc/temporal/schema/postgresql/v12/$schema/versioned"
done
