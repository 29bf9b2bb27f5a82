-- letter_write: a letter as it is from now on.
-- ?1 shard, ?2 seq, ?3 kind, ?4 tenant and ?5 id of the key, ?6 projection, ?7 tenant, ?8 stream, ?9 version, ?10 type,
-- ?11 class, ?12 error, ?13 attempts, ?14 first_at, ?15 last_at, ?16 status, ?17 by, ?18 reason, ?19 settled_at, ?20 body
insert into dead_letters
  (shard, seq, key_kind, key_tenant, key_id, projection, tenant, stream_id, version, type, class, error, attempts, first_at,
    last_at, status, "by", reason, settled_at, body)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
on conflict (shard, seq, key_kind, key_tenant, key_id) do update
set projection = excluded.projection, tenant = excluded.tenant, stream_id = excluded.stream_id,
  version = excluded.version, type = excluded.type, class = excluded.class, error = excluded.error,
  attempts = excluded.attempts, first_at = excluded.first_at, last_at = excluded.last_at, status = excluded.status,
  "by" = excluded."by", reason = excluded.reason, settled_at = excluded.settled_at, body = excluded.body
