-- letters_count: how many letters there are. {conditions} says of which, and {index} where to look.
-- What the conditions bind.
select count(*) from dead_letters{index} where {conditions}
