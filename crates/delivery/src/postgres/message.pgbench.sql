-- What the PostgreSQL engine does for one accepted message of 1 KiB, as a script for pgbench:
--   pgbench -n -M prepared -c 16 -j 2 -T 10 -D rooms=1000 -f message.pgbench.sql DATABASE
-- on a database that keyroomd has prepared, in which the rooms 1 to :rooms are in epoch 0 and have the
-- device mimi://example.org/d/member/phone in their rosters. The statement is that of message.sql; a test of the engine compares them.
\set room random(1, :rooms)
\set mark random(1, 9000000000000000)
WITH taken AS (
    UPDATE rooms SET head = head + 1
    WHERE id = :room::bigint AND epoch >= 0::bigint AND epoch - 0::bigint <= 4::bigint AND closed IS NULL
        AND NOT EXISTS (SELECT 1 FROM idempotency WHERE device = 'mimi://example.org/d/user/phone'::text AND key = :mark::text)
        AND ('mimi://example.org/d/member/phone'::text IS NULL OR NOT listed OR (
            (SELECT bool_or(until IS NULL) FROM roster WHERE room = :room::bigint AND device = 'mimi://example.org/d/member/phone'::text)
            AND vacated = (SELECT seen.vacated FROM rooms AS seen WHERE seen.id = :room::bigint)))
    RETURNING head
), entry AS (
    INSERT INTO log (room, sequence, epoch, kind, accepted_at, message)
    SELECT :room::bigint, head, 0::bigint, 1::smallint, 1800000000000::bigint, convert_to(repeat('m', 1024), 'SQL_ASCII')::bytea FROM taken
), once AS (
    INSERT INTO idempotency (device, key, room, sequence)
    SELECT 'mimi://example.org/d/user/phone'::text, :mark::text, :room::bigint, head FROM taken WHERE :mark::text IS NOT NULL
)
SELECT head FROM taken;
