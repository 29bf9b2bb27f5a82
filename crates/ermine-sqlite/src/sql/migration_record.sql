-- migration_record: remembers a step.
-- ?1 number, ?2 name, ?3 checksum, ?4 now
insert into migrations (number, name, checksum, applied_at) values (?1, ?2, ?3, ?4)
