-- migrations_applied: what this store has been brought to.
select number, name, checksum from {schema}.migrations order by number
