-- letters_purge: forgets letters that were replayed before a moment. One that was discarded still says why its event is not applied.
-- ?1 moment
delete from dead_letters where status = 'replayed' and settled_at < ?1
