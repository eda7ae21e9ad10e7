WITH taken AS (
    -- Here a commit wins or loses: of all that were made for this epoch one finds its row.
    UPDATE rooms SET epoch = epoch + 1, head = head + 1, closed = CASE WHEN $10::boolean THEN head + 1 END,
        vacated = CASE WHEN $12::boolean THEN head + 1 ELSE vacated END
    WHERE id = $1::bigint AND epoch = $2::bigint AND closed IS NULL
        AND NOT EXISTS (SELECT 1 FROM idempotency WHERE device = $6::text AND key = $7::text)
        AND ($11::text IS NULL OR NOT listed
            OR (SELECT bool_or(until IS NULL) FROM roster WHERE room = $1::bigint AND device = $11::text))
    RETURNING head
), entry AS (
    INSERT INTO log (room, sequence, epoch, kind, accepted_at, message)
    SELECT $1::bigint, head, $2::bigint, $3::smallint, $4::bigint, $5::bytea FROM taken
), once AS (
    INSERT INTO idempotency (device, key, room, sequence)
    SELECT $6::text, $7::text, $1::bigint, head FROM taken WHERE $7::text IS NOT NULL
), next AS (
    INSERT INTO epochs (room, epoch, group_info, tree_hash)
    SELECT $1::bigint, $2::bigint + 1, $8::bytea, $9::bytea FROM taken
)
SELECT head FROM taken
