WITH taken AS (
    UPDATE rooms SET head = head + 1
    WHERE id = $1::bigint AND epoch >= $2::bigint AND epoch - $2::bigint <= $3::bigint AND closed IS NULL
        AND NOT EXISTS (SELECT 1 FROM idempotency WHERE device = $7::text AND key = $8::text)
        AND ($9::text IS NULL OR NOT listed OR (
            (SELECT bool_or(until IS NULL) FROM roster WHERE room = $1::bigint AND device = $9::text)
            AND vacated = (SELECT seen.vacated FROM rooms AS seen WHERE seen.id = $1::bigint)))
    RETURNING head
), entry AS (
    INSERT INTO log (room, sequence, epoch, kind, accepted_at, message)
    SELECT $1::bigint, head, $2::bigint, $4::smallint, $5::bigint, $6::bytea FROM taken
), once AS (
    INSERT INTO idempotency (device, key, room, sequence)
    SELECT $7::text, $8::text, $1::bigint, head FROM taken WHERE $8::text IS NOT NULL
)
SELECT head FROM taken
