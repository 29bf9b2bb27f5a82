-- count_letters: how many letters match. Statuses stand in the condition as constants, so that the index of those that are
-- requested serves.
-- {condition}: what they must be
select count(*) from {schema}.dead_letters where {condition}
