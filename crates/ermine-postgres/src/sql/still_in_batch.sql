-- still_in_batch: raises where a native statement has ended the transaction.
select {schema}.still_in_batch()
