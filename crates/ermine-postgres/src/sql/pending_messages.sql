-- pending_messages: the first messages that nobody has settled.
-- $1 limit bigint
select id, projection, seq, tenant, topic, body from {schema}.outbox
where settled_at is null order by position limit $1
