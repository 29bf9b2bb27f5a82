-- lock_streams: the streams that a batch is going to append to, before its views.
-- $1 tenants text[], $2 streams text[]
select {schema}.lock_streams($1, $2, null) where current_setting('ermine.batch', true) = 'on'
