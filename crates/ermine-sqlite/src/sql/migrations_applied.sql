-- migrations_applied: what this store has been brought to.
select number, name, checksum from migrations order by number
