-- lock_class: that of this store.
select lock_class from {schema}.store
