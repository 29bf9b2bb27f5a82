-- park_events: has events wait; once is enough. Only commits of the shard write these rows, and its progress is locked by then.
-- $1 shard text, $2 kinds, $3 tenants and $4 ids of keys text[], $5 seqs bigint[]
insert into {schema}.parked_events (shard, key_kind, key_tenant, key_id, seq)
select $1, u.key_kind, u.key_tenant, u.key_id, u.seq
from unnest($2, $3, $4, $5) as u(key_kind, key_tenant, key_id, seq)
where current_setting('ermine.batch', true) = 'on'
on conflict (shard, key_kind, key_tenant, key_id, seq) do nothing
