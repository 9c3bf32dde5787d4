-- Half of each chain of hooks is skipped.
CREATE OR REPLACE TEMP TABLE jumped AS
SELECT h.number, n.part, n.part <> h.part AS is_new FROM hooks AS h JOIN hooks AS n ON n.number = h.part;
CREATE OR REPLACE TEMP TABLE hooks AS SELECT number, part FROM jumped;
