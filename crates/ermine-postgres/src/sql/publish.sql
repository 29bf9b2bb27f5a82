-- publish: puts messages into the outbox, each id once and for ever. Positions are drawn in the order of the messages; the
-- rows are locked in the order of their ids, because two versions of a projection may publish the same ones.
-- $1 ids uuid[], $2 projections text[], $3 seqs bigint[], $4 tenants text[], $5 topics text[], $6 bodies json[]
insert into {schema}.outbox (position, id, projection, seq, tenant, topic, body) overriding system value
select p.position, p.id, p.projection, p.seq, p.tenant, p.topic, p.body
from (
  select nextval('{schema}.outbox_position_seq'::regclass) as position, u.*
  from (
    select * from unnest($1, $2, $3, $4, $5, $6) with ordinality as u(id, projection, seq, tenant, topic, body, place)
    order by u.place
  ) u
  where current_setting('ermine.batch', true) = 'on'
) p
order by p.id, p.place
on conflict (id) do nothing
