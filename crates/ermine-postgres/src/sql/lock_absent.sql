-- lock_absent: before an append looks whether views are absent. A statement of its own, so that the look is a later one.
-- $1 tables text[], $2 tenants text[], $3 ids text[]
select {schema}.lock_absent($1, $2, $3)
