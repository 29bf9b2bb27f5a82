-- settle_messages: remembers that messages have been delivered; what they said is not needed any more.
-- $1 ids uuid[]
update {schema}.outbox set settled_at = clock_timestamp(), body = null where id = any($1) and settled_at is null
