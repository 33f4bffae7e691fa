-- The views that analysts read. Their names do not change. FINAL leaves out replaced rows, also those that ClickHouse
-- has not merged away yet, so a plain SELECT is exact.

CREATE VIEW IF NOT EXISTS conversations AS
SELECT
    workspace_id,
    conversation_id,
    bot_id,
    channel,
    channel_user_id,
    first_at,
    last_at,
    toDate(first_at, 'UTC') AS day,
    requests,
    messages,
    sessions,
    state,
    plan,
    charged_free_micros,
    charged_paid_micros
FROM conversation_facts FINAL
WHERE billable AND state != 'absorbed' AND absorbed_into = '';

CREATE VIEW IF NOT EXISTS ledger AS
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

-- Days without units and charges are left out: the last conversation of such a day moved to another day, or the day
-- has only messages that are never billed. Those are in usage_daily_facts.
CREATE VIEW IF NOT EXISTS usage_daily AS
SELECT
    workspace_id,
    bot_id,
    day,
    conversations,
    sessions,
    requests,
    proactive_notifications,
    alert_notifications,
    agent_messages,
    developer_messages,
    total_units,
    charged_free_micros,
    charged_paid_micros
FROM usage_daily_facts FINAL
WHERE total_units != 0 OR charged_free_micros != 0 OR charged_paid_micros != 0;

-- A month is the sum of its days, computed when it is read. A conversation belongs to one day, so the two views cannot
-- disagree.
CREATE VIEW IF NOT EXISTS usage_monthly AS
SELECT
    workspace_id,
    bot_id,
    toStartOfMonth(daily.day) AS month,
    sum(daily.conversations) AS conversations,
    sum(daily.sessions) AS sessions,
    sum(daily.requests) AS requests,
    sum(daily.proactive_notifications) AS proactive_notifications,
    sum(daily.alert_notifications) AS alert_notifications,
    sum(daily.agent_messages) AS agent_messages,
    sum(daily.developer_messages) AS developer_messages,
    sum(daily.total_units) AS total_units,
    sum(daily.charged_free_micros) AS charged_free_micros,
    sum(daily.charged_paid_micros) AS charged_paid_micros
FROM usage_daily AS daily
GROUP BY workspace_id, bot_id, month;

CREATE VIEW IF NOT EXISTS balances AS
SELECT
    workspace_id,
    free_micros,
    paid_micros,
    lapsed_micros
FROM balance_facts FINAL;

-- The location of the refused record has long names and, for typing, short ones: topic, partition, offset.
CREATE VIEW IF NOT EXISTS dead_letters AS
SELECT
    reason,
    code,
    source_topic,
    source_partition,
    source_offset,
    source_topic AS topic,
    source_partition AS partition,
    source_offset AS offset,
    key,
    payload,
    payload_bytes,
    is_shortened,
    refused_at
FROM dead_letter_facts FINAL;
