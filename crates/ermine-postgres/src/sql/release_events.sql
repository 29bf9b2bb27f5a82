-- release_events: has events wait no more, as far as they do.
-- $1 shard text, $2 kinds, $3 tenants and $4 ids of keys text[], $5 seqs bigint[]
delete from {schema}.parked_events p
using unnest($2, $3, $4, $5) as u(key_kind, key_tenant, key_id, seq)
where p.shard = $1 and p.key_kind = u.key_kind and p.key_tenant = u.key_tenant and p.key_id = u.key_id and p.seq = u.seq
  and current_setting('ermine.batch', true) = 'on'
