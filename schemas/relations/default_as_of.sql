CREATE MACRO default_as_of() AS (
    SELECT max(occurred_at) FROM touchpoints
    WHERE occurred_at <= (SELECT max(started_at) FROM runs)
);

COMMENT ON MACRO default_as_of IS 'The instant that figures speak of unless told otherwise: the newest occurred_at that is not after the start of the last run, UTC; null in an empty store.';
