-- When an entry was booked, and the day of its conversation; and the conversations that the other views leave out.

ALTER TABLE ledger_entries ADD COLUMN IF NOT EXISTS booked_at DateTime64(3, 'UTC') AFTER occurred_at;
ALTER TABLE ledger_entries ADD COLUMN IF NOT EXISTS day Date AFTER booked_at;

CREATE OR REPLACE VIEW ledger AS
SELECT
    entry_id,
    workspace_id,
    bot_id,
    seq,
    kind,
    unit_id,
    conversation_id,
    lot_id,
    lot_kind,
    amount_micros,
    occurred_at,
    booked_at,
    day,
    reverses
FROM ledger_entries FINAL;

-- Conversations that a late message joined to another one. What they were charged is reversed in the ledger.
CREATE VIEW IF NOT EXISTS absorbed_conversations AS
SELECT
    workspace_id,
    conversation_id,
    bot_id,
    channel,
    channel_user_id,
    first_at,
    last_at,
    toDate(first_at, 'UTC') AS day,
    absorbed_into
FROM conversation_facts FINAL
WHERE state = 'absorbed' OR absorbed_into != '';

-- Conversations of which something was reversed: how often, how much, and what they are charged in all by now.
CREATE VIEW IF NOT EXISTS reversed_conversations AS
SELECT
    workspace_id,
    conversation_id,
    any(entries.bot_id) AS bot_id,
    countIf(kind = 'reversal') AS reversals,
    sumIf(amount_micros, kind = 'reversal') AS reversed_micros,
    -sum(amount_micros) AS charged_micros,
    maxIf(booked_at, kind = 'reversal') AS reversed_at
FROM ledger_entries AS entries FINAL
WHERE conversation_id != '' AND kind IN ('charge', 'reversal')
GROUP BY workspace_id, conversation_id
HAVING reversals > 0;
