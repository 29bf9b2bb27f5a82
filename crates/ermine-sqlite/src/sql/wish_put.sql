-- wish_put: what is wanted of a shard from now on.
-- ?1 shard, ?2 by, ?3 reason, ?4 since, ?5 until
insert into wishes (shard, "by", reason, since, until) values (?1, ?2, ?3, ?4, ?5)
on conflict (shard) do update
set "by" = excluded."by", reason = excluded.reason, since = excluded.since, until = excluded.until
