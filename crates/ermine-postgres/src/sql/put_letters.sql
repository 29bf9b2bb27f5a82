-- put_letters: writes letters, each in place of the one with the same id. They come once each, in the order in which they are
-- locked.
-- Arrays, one element per letter: $1 shards text, $2 seqs bigint, $3 kinds, $4 tenants and $5 ids of keys text, $6 projections
-- text, $7 tenants text, $8 streams text, $9 versions bigint, $10 types text, $11 bodies text, $12 errors text, $13 classes text,
-- $14 attempts bigint, $15 first and $16 last failures timestamptz, $17 statuses text, $18 by text, $19 reasons text, $20 when
-- settled timestamptz
insert into {schema}.dead_letters (shard, seq, key_kind, key_tenant, key_id, projection, tenant, stream_id, version, type, body,
  error, class, attempts, first_at, last_at, status, by, reason, settled_at)
select u.shard, u.seq, u.key_kind, u.key_tenant, u.key_id, u.projection, u.tenant, u.stream_id, u.version, u.type, u.body,
  u.error, u.class, u.attempts, u.first_at, u.last_at, u.status, u.by, u.reason, u.settled_at
from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20) with ordinality
  as u(shard, seq, key_kind, key_tenant, key_id, projection, tenant, stream_id, version, type, body, error, class, attempts,
    first_at, last_at, status, by, reason, settled_at, place)
where current_setting('ermine.batch', true) = 'on'
order by u.place
on conflict (shard, seq, key_kind, key_tenant, key_id) do update
set projection = excluded.projection, tenant = excluded.tenant, stream_id = excluded.stream_id, version = excluded.version,
  type = excluded.type, body = excluded.body, error = excluded.error, class = excluded.class, attempts = excluded.attempts,
  first_at = excluded.first_at, last_at = excluded.last_at, status = excluded.status, by = excluded.by,
  reason = excluded.reason, settled_at = excluded.settled_at
