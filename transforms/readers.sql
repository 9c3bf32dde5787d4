-- How one written value is read: macros that the mapping's generated query is made of.
-- None of them raises: what cannot be read is null, and a rule says so.

-- Only whitespace is nothing. Whitespace begins below '!' or above ASCII: that is tested first, being cheap.
CREATE MACRO filled(t) AS
    CASE WHEN (t < '!' OR t >= chr(133)) AND regexp_full_match(t, '[\s\x1c-\x1f\x{85}\p{Z}]*') THEN NULL ELSE t END;

-- The digits of a number as people write it, with a point for the decimal mark; null where it is not a number.
-- Thousands may stand apart by a plain, no-break, thin or narrow no-break space.
CREATE MACRO number_spaces() AS ' ' || chr(160) || chr(8201) || chr(8239);
CREATE MACRO written_number(t, mark) AS
    CASE WHEN regexp_full_match(
        trim(t, number_spaces()),
        '[+-]?(([0-9]+|[0-9]{1,3}([' || number_spaces() || '][0-9]{3})+)([' || mark || '][0-9]*)?|[' || mark || '][0-9]+)([eE][+-]?[0-9]{1,9})?'
    ) THEN replace(translate(t, number_spaces(), ''), mark, '.') END;

-- The whole part of an amount in ten-thousandths: k digits are cut off its digits, rounding half to even.
CREATE MACRO cut_half_even(digits, k) AS
    TRY_CAST(left(digits, len(digits) - k) AS DECIMAL(18, 0))::DECIMAL(19, 0) + CASE
        WHEN k = 0 THEN 0
        WHEN right(digits, k) > '5' || repeat('0', k - 1) THEN 1
        WHEN right(digits, k) = '5' || repeat('0', k - 1) AND digits[len(digits) - k] IN ('1', '3', '5', '7', '9') THEN 1
        ELSE 0
    END;

-- Digits whose last stands for 10 ** (shift - 4).
CREATE MACRO shifted_half_even(digits, shift) AS
    CASE
        -- beyond 40 zeros nothing fits, whatever the digits
        WHEN shift >= 0 THEN TRY_CAST(digits || repeat('0', least(shift, 40)) AS DECIMAL(18, 0))
        -- beyond the first digit nothing is left, however far
        ELSE cut_half_even(lpad(digits, greatest(len(digits), least(-shift, len(digits) + 1) + 1)::INTEGER, '0'), least(-shift, len(digits) + 1))
    END;

-- A number text, whatever its digits and exponent, as an amount: rounded once, from what is written.
CREATE MACRO rounded_amount(t) AS
    TRY_CAST(
        CASE WHEN t[1] = '-' THEN -1 ELSE 1 END * 0.0001::DECIMAL(5, 4) * shifted_half_even(
            regexp_extract(t, '^[+-]?([0-9]*)', 1) || regexp_extract(t, '\.([0-9]*)', 1),
            coalesce(TRY_CAST(regexp_extract(t, '[eE](.*)$', 1) AS INTEGER), 0) - len(regexp_extract(t, '\.([0-9]*)', 1)) + 4
        )::DECIMAL(20, 0)
        AS DECIMAL(18, 4)
    );

-- Nearly every amount: at most four decimals, so nothing is rounded.
CREATE MACRO plain_amount(t, mark) AS
    TRY_CAST(CASE WHEN regexp_full_match(t, '[+-]?[0-9]{1,14}([' || mark || '][0-9]{0,4})?') THEN replace(t, mark, '.') END AS DECIMAL(18, 4));

-- A double that is the nearest one to an amount of at most fifteen digits is written as that amount.
CREATE MACRO plain_double(x) AS
    CASE WHEN abs(x) < 1e10 AND TRY_CAST(x AS DECIMAL(18, 4))::DOUBLE = x THEN TRY_CAST(x AS DECIMAL(18, 4)) END;

-- ISO 8601 with seconds, their fraction and the offset optional. Digits past microseconds are cut.
CREATE MACRO is_iso_instant(t) AS
    regexp_full_match(t, '[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)? ?(Z|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?)');
CREATE MACRO iso_instant(t) AS CAST(
    CASE WHEN is_iso_instant(t) THEN coalesce(
        TRY_CAST(t AS TIMESTAMPTZ),
        -- DuckDB 1.5 wants seconds where there is an offset
        TRY_CAST(left(t, 16) || ':00' || substr(t, 17) AS TIMESTAMPTZ)
    ) END AS TIMESTAMP);
CREATE MACRO iso_local(t) AS TRY_CAST(
    CASE WHEN regexp_full_match(t, '[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?)?') THEN t END
    AS TIMESTAMP);
-- A month is its first day.
CREATE MACRO iso_month(t) AS
    iso_local(CASE WHEN regexp_full_match(t, '[0-9]{4}-[0-9]{2}') THEN t || '-01' ELSE t END);

-- A time counted from 1970, in units of so many microseconds; a fraction of a microsecond is cut.
CREATE MACRO is_count(t) AS regexp_full_match(t, '[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,2})?');
CREATE MACRO counted_instant(t, unit) AS
    TRY(make_timestamp(CAST(floor(TRY_CAST(t AS DECIMAL(28, 9)) * unit::DECIMAL(7, 0)) AS BIGINT)));

-- What the clocks of a zone show at an instant.
CREATE MACRO clock(instant, zone) AS timezone(zone, instant::TIMESTAMPTZ);

-- The instant at which a zone's clocks showed a local time, given the offsets a day before and a day after it, as
-- differences between clock and UTC. Of two such instants the earlier; null where the clocks skipped that time.
CREATE MACRO placed(local, zone, before, after) AS
    CASE
        WHEN before = after THEN local - before
        WHEN clock(local - greatest(before, after), zone) = local THEN local - greatest(before, after)
        WHEN clock(local - least(before, after), zone) = local THEN local - least(before, after)
    END;

-- The texts of a list: a JSON list, or words between bars. Null where it is neither; an opening brace begins an
-- object, which is no list.
CREATE MACRO word_list(t) AS
    CASE
        WHEN t[1] = '{' THEN NULL
        WHEN t[1] <> '[' THEN string_split(t, '|')
        WHEN NOT json_valid(t) THEN NULL
        WHEN NOT contains(t, '{') AND NOT contains(substr(t, 2), '[') THEN from_json(t, '["VARCHAR"]')
        WHEN NOT list_has_any(json_type(t, '$[*]'), ['OBJECT', 'ARRAY']) THEN from_json(t, '["VARCHAR"]')
    END;


-- One step of a JSON pointer.
CREATE MACRO json_step(key) AS '/' || replace(replace(key, '~', '~0'), '/', '~1');

-- Pairs: a JSON object, or a JSON list of objects with key and value; what is not that in a list has a null key.
-- Null where it is neither.
CREATE MACRO pair_list(t) AS
    CASE
        WHEN t IS NULL THEN NULL
        WHEN NOT json_valid(t) THEN NULL
        WHEN t[1] = '[' THEN from_json(t, '[{"key":"VARCHAR","value":"VARCHAR"}]')
        WHEN t[1] = '{' THEN list_transform(json_keys(t), lambda key: {'key': key, 'value': json_extract_string(t, json_step(key))})
    END;

-- DuckDB reads a JSON number with a fraction or an exponent as a double and writes it in its shortest form. An amount
-- may then round to another ten-thousandth only if that form is a tie, or has more than fifteen digits.
CREATE MACRO inexact_amount(t, digits) AS
    (digits IS NOT NULL OR strlen(t) > 12) AND regexp_full_match(t, '-?([0-9]{11,}\..*|[0-9]+\.[0-9]{4}5|5e-05)');
-- A text may have been such a number in some other form. Numbers begin below ':'.
CREATE MACRO inexact_text(t) AS
    t < ':' AND strlen(t) <= 24 AND regexp_full_match(t, '-?[0-9]+(\.[0-9]+(e[-+][0-9]+)?|e[-+][0-9]+)');

-- Numbers keep the text that was written, not that of the nearest double: every one is made a string. A string is
-- matched before a number can be found inside it, and comes out unchanged: the marks around nothing go.
CREATE MACRO with_written_numbers(document) AS
    replace(replace(replace(
        regexp_replace(document, '("(?:[^"\\]|\\.)*")|(-?[0-9][0-9.eE+-]*)', '\1' || chr(1) || '\2' || chr(2), 'g'),
        chr(1) || chr(2), ''), chr(1), '"'), chr(2), '"');
