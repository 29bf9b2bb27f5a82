-- settle_message: a message that has been sent; its id stays, its body is of no use any more.
-- ?1 id, ?2 now
update outbox set settled_at = ?2, body = '' where id = ?1 and settled_at is null
