#!/bin/sh
# Allows each program what it needs on a Kafka cluster with an authorizer, and nothing else. Can be repeated.
#
#     deploy/kafka/acls.sh --bootstrap-server kafka-1:9092 --command-config admin.properties
#
# The arguments are passed on to Kafka's own tool, which is KAFKA_ACLS, by default kafka-acls.sh. Other names of
# principals: RUNTIME=User:bots deploy/kafka/acls.sh ...
#
#   RUNTIME     bot runtimes: they write chat events, under any key
#   CONSOLE     the program that sells: it writes account commands, under any key
#   METER       `python -m meter`: workers, `gateway`, `topics`, `produce`, `drained`, `dead-letters`, `notify`, `notices`
#   AGGREGATOR  `python -m aggregator`
set -eu
RUNTIME=${RUNTIME:-User:runtime}
CONSOLE=${CONSOLE:-User:console}
METER=${METER:-User:meter}
AGGREGATOR=${AGGREGATOR:-User:aggregator}

# allow PRINCIPAL OPERATIONS RESOURCE..., with operations separated by commas and resources as the tool has them
allow() {
    principal=$1
    operations=$(echo "$2" | sed 's/,/ --operation /g')
    shift 2
    # shellcheck disable=SC2086 # The operations are several words.
    ${KAFKA_ACLS:-kafka-acls.sh} $CONNECTION --add --allow-principal "$principal" --operation $operations "$@"
}
CONNECTION=$*

# Outsiders write these two topics and no other. Write includes Describe.
allow "$RUNTIME" Write --topic chat-events
allow "$CONSOLE" Write --topic account-commands

# Alter adds partitions: only `python -m meter repartition` needs it.
# The meter writes chat-events too: ticks and moved records. It writes account-commands to put a dead letter back.
for topic in chat-events account-commands wallet-inputs; do
    allow "$METER" Read,Write,Create,Alter,DescribeConfigs --topic "$topic"
done
# Checkpoints, which no other program may touch.
for topic in conversation-state wallet-state command-state; do
    allow "$METER" Read,Write,Create,Alter,DescribeConfigs --topic "$topic"
done
# What the aggregator reads. The meter reads it too: for `drained` and `dead-letters`.
for topic in ledger dead-letters event-counts; do
    allow "$METER" Read,Write,Create,Alter,DescribeConfigs --topic "$topic"
    allow "$AGGREGATOR" Read,DescribeConfigs --topic "$topic"
done
# The answers are what a bot may do, and what became of a command. The gateway reads them.
for topic in replays policies payment-requests entitlements outcomes notices deliveries; do
    allow "$METER" Read,Write,Create,Alter,DescribeConfigs --topic "$topic"
done

# `meter payments` has a group of its own. `meter drained` asks how far the other two are.
allow "$METER" Read --group meter
allow "$METER" Read --group payments
allow "$METER" Describe --group aggregator
allow "$AGGREGATOR" Read --group aggregator
# `meter notify`: a group for mail, and one for each endpoint of webhooks.
allow "$METER" Read --group notify- --resource-pattern-type prefixed

# Idempotent producers. From Kafka 3.0 on Write on a topic is enough.
for principal in "$RUNTIME" "$CONSOLE" "$METER"; do
    allow "$principal" IdempotentWrite --cluster
done
