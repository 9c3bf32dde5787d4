CREATE MACRO ladder_rungs() AS ['prospect', 'consumer', 'customer', 'loyal customer', 'advocate'];

COMMENT ON MACRO ladder_rungs IS 'The rungs of the loyalty ladder, the lowest first, as [ladder] in the config names them.';
