-- publish: puts a message at the end of the outbox, unless one of its id has ever been there.
-- ?1 id, ?2 projection, ?3 seq, ?4 tenant, ?5 topic, ?6 body
insert into outbox (id, projection, seq, tenant, topic, body) values (?1, ?2, ?3, ?4, ?5, ?6)
on conflict (id) do nothing
