-- The models that a key may call. A proxy of an older version does not ask.

alter table api_keys
    -- By their names; null of a key that may call every one.
    add column models text[] constraint api_keys_models_are_some check (cardinality(models) > 0);
