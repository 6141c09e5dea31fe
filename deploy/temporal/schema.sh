#!/bin/sh
# Brings both databases of the Temporal server up to the schema of this release. Safe to run again: an upgrade of
# Temporal needs nothing else. Connection: SQL_PLUGIN, SQL_HOST, SQL_PORT, SQL_USER, SQL_PASSWORD.
set -eu

bring_up() {
  database=$1
  versions=/etc/temporal/schema/postgresql/v12/$2/versioned
  # Creating what exists fails, and so does setting up a schema a second time; the update afterwards must not.
  temporal-sql-tool --database "$database" create || echo "$database exists"
  temporal-sql-tool --database "$database" setup-schema --version 0.0 || echo "$database has a schema"
  temporal-sql-tool --database "$database" update-schema --schema-dir "$versions"
}

bring_up temporal temporal
bring_up temporal_visibility visibility
