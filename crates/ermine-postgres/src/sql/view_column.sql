-- view_column: a column that is new in a flat table.
alter table {schema}.{table} add column {column}
