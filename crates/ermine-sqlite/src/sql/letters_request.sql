-- letters_request: says what is to become of letters that are not settled. {conditions} says of which, and {index} where to
-- look.
-- What the conditions bind, then status, by and reason.
update dead_letters{index} set status = ?{status}, "by" = ?{by}, reason = ?{reason}, settled_at = null
where {conditions} and status in ('waiting', 'retry', 'discard')
