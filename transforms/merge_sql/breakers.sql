-- Stored touchpoints that break a rule in force, where the caller put some: they go as those that lose a conflict do.
CREATE TEMP TABLE IF NOT EXISTS breakers(stored_row BIGINT);
