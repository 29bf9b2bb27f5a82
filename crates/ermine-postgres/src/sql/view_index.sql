-- view_index: an index on one field.
create index {name} on {schema}.{table} (tenant, {field})
