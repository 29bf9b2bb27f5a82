-- append_missing: appends the events of a batch that are not recorded yet.
-- $1 tenants text[], $2 streams text[], $3 ids uuid[], $4 types text[], $5 bodies json[], $6 correlations text[],
-- $7 causations text[], $8 headers json[]
select {schema}.append_missing($1, $2, $3, $4, $5, $6, $7, $8)
