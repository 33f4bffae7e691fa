"""The environment variables of the meter, as `python -m meter --help` lists them."""

from typing import Final

ENVIRONMENT: Final = """
\b
Environment (all of it optional; the default stands last):
  KAFKA_BOOTSTRAP_SERVERS   HOST:PORT[,HOST:PORT]         127.0.0.1:9092
  KAFKA_PARTITIONS          for `topics`                  4
  KAFKA_REPLICATION_FACTOR  for `topics`                  1
  KAFKA_IDEMPOTENT          idempotent producer           true
  KAFKA_SESSION_TIMEOUT_S   seconds of silence until a
                            worker loses its partitions   10
  METRICS_HOST              address of /metrics           127.0.0.1
  METRICS_PORT              0: first free from 9100       0
  METER_STAGES              stages with commas between    sessionize,charge,commands
  METER_CHECKPOINT_MS       milliseconds between two
                            checkpoints                   1000
  METER_LATE_HORIZON_H      hours that an event may be
                            behind the newest one         24
  METER_UNKNOWN_WORKSPACE   provision or hold             provision
  METER_DEBIT_ORDER         free_first or paid_first      free_first
  METER_KERNEL              auto, off or require          auto
  METER_SPILL_DIR           absolute path for state that
                            memory has no room for        not set
  METER_SPILL_ABOVE_MB      MiB of state of a partition
                            in memory, with a directory   256
  METER_PAYMENTS            gateway of `meter payments`   sandbox
  METER_STRIPE_KEY_FILE     Stripe's secret key, for
                            METER_PAYMENTS=stripe         not set
  METER_PAGE_URL            address of the web pages that
                            notices link to               http://127.0.0.1:8080
  METER_SELLER_NAME         on notices and invoices       Conversation Meter
  METER_SELLER_ADDRESS      lines, semicolons between     not set
  METER_SELLER_TAX_ID       on invoices                   not set
  METER_SELLER_EMAIL        sender of notices             billing@localhost
  METER_INVOICE_FONTS       more fonts, commas between    not set
  METER_HTTP_HOST           address of `gateway`          127.0.0.1
  METER_HTTP_PORT           0: first free from 8090       0
  METER_HTTP_RATE           requests a second of one key  200
  METER_API_KEYS_FILE       file that `keys` writes       not set
  METER_SMTP_URL            mail server for `notify`      not set
  METER_MAIL_DIR            instead: mails as files       not set
  METER_WEBHOOKS_FILE       endpoints for `notify`        not set
  METER_NOTIFY_RETRY_H      hours of trying again         24
  METER_NOTICE_MAX_AGE_H    hours from event to notice    168
  METER_LOG_LEVEL           DEBUG to ERROR                WARNING
  Those of the policy (horizon, unknown workspaces, debit order) are what a new
  deployment begins with: see `python -m meter policy --help`.
  `sql` reads other variables: see `python -m aggregator sql --help`.
"""
"""Text for click, which keeps the lines of a paragraph that begins with a backspace."""
