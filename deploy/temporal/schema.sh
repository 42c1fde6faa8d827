#!/bin/sh
# Makes Temporal's two databases, or brings them to this version's schema. May run again at every start.
set -eu
for database in temporal temporal_visibility; do
    schema=${database#temporal_}
    temporal-sql-tool --database "$database" create
    temporal-sql-tool --database "$database" setup-schema --version 0.0
    temporal-sql-tool --database "$database" update-schema \
        --schema-dir "/etc/temporal/schema/postgresql/v12/$schema/versioned"
done
