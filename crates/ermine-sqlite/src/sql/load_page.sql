-- load_page: the log in its order. Whoever reads it leaves out what he does not want and ends when he has enough: a row
-- costs nothing but its look-up until its columns are asked for.
-- ?1 floor, ?2 ceiling
select seq, version, recorded_at, id, tenant, stream_id, type, correlation, causation, headers, data, skipped
from events where seq > ?1 and seq <= ?2 order by seq
