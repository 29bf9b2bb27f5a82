-- begin_batch: opens the transaction of a batch. The mark is gone with the transaction, and every statement of the batch
-- asks for it: should this one fail, none of the others takes effect on its own.
begin isolation level read committed; set local ermine.batch = 'on'
