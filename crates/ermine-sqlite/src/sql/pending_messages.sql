-- pending_messages: what is to be sent, in the order of commits. The condition is that of the index.
-- ?1 limit
select id, projection, seq, tenant, topic, body from outbox where settled_at is null order by position limit ?1
