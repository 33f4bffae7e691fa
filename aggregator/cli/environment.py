"""The environment variables, as the help of every command lists them."""

from typing import Final

ENVIRONMENT: Final = """
\b
Environment (all of it optional; the last word is the default):
  KAFKA_BOOTSTRAP_SERVERS  HOST:PORT[,HOST:PORT]  127.0.0.1:9092
  CLICKHOUSE_DSN           a server's, or chdb:///DIR for the engine in this
                           process on the absolute directory DIR
                           clickhouse://default@127.0.0.1:8123/default
  METRICS_HOST             address that serves /metrics  127.0.0.1
  METRICS_PORT             its port; 0 for the first free one from 9102 up  0
  AGGREGATOR_FLUSH_MS      milliseconds that rows wait for other rows, so that
                           they are inserted together  500
  AGGREGATOR_RECONCILE_S   seconds between two looks of a worker at whether
                           everything adds up; 0 for never  60
  KAFKA_SESSION_TIMEOUT_S  seconds of silence after which other workers take
                           over the partitions of this one  10
"""
