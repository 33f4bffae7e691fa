package bench;

import com.alibaba.fastjson2.JSON;
import com.alibaba.fastjson2.JSONObject;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.SessionWindows;
import org.apache.kafka.streams.kstream.WindowedSerdes;
import org.apache.kafka.streams.state.SessionStore;

/** Kafka Streams' own session windows over chat events. Its one argument is the task, as JSON. */
public final class Sessions {
    private static final Duration GAP = Duration.ofMinutes(15);
    private static final Duration GRACE = Duration.ofHours(24);

    private final JSONObject task;
    private final long total;
    private final Clock clock;
    private final CountDownLatch done = new CountDownLatch(1);
    private final AtomicLong announced = new AtomicLong();
    private long messages;
    private long warming;
    private long joined;
    private volatile boolean isFull;

    private Sessions(JSONObject task) {
        this.task = task;
        this.total = task.getLongValue("events");
        this.clock = new Clock(task.getDoubleValue("limit_s"));
    }

    public static void main(String[] arguments) throws InterruptedException {
        new Sessions(JSON.parseObject(arguments[0])).run();
    }

    private void run() throws InterruptedException {
        Rekey.topic = task.getString("topic");
        KafkaStreams streams = new KafkaStreams(topology(), settings());
        streams.setUncaughtExceptionHandler(failed -> {
            failed.printStackTrace();
            Runtime.getRuntime().halt(1);
            return null;
        });
        streams.start();
        done.await();
        streams.close(); // Empties its cache into store, changelog and output, and commits.
        clock.safe();
        System.out.println(clock.report(warming, messages - warming, messages - joined, announced.get()));
    }

    private Topology topology() {
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(task.getString("topic"), Consumed.with(Serdes.ByteArray(), Serdes.ByteArray()))
            .groupByKey(Grouped.with(Serdes.ByteArray(), Serdes.ByteArray()))
            .windowedBy(SessionWindows.ofInactivityGapAndGrace(GAP, GRACE))
            .aggregate(() -> Conversation.NONE, (key, value, one) -> add(value, one), (key, one, other) -> join(one, other),
                Materialized.<byte[], Conversation, SessionStore<Bytes, byte[]>>as("conversations")
                    .withKeySerde(Serdes.ByteArray()).withValueSerde(Conversation.SERDE))
            .toStream()
            .peek((window, one) -> announced.incrementAndGet())
            .to(task.getString("updates_topic"),
                Produced.with(new WindowedSerdes.SessionWindowedSerde<>(Serdes.ByteArray()), Conversation.SERDE));
        return builder.build();
    }

    /** Every message is a session of its own at first. */
    private Conversation add(byte[] value, Conversation one) {
        if (!isFull) {
            clock.arrived();
            messages++;
            if ((messages & 63) == 0 && clock.becomesWarm()) {
                warming = messages;
                announced.set(0);
            }
            if (messages == total || ((messages & 63) == 0 && clock.isOver())) {
                isFull = true;
                done.countDown();
            }
        }
        return one.and(new Conversation(1, value[0]));
    }

    /** Called for each session that a message joins: one conversation less. */
    private Conversation join(Conversation one, Conversation other) {
        if (!isFull) joined++;
        return one.and(other);
    }

    private Properties settings() {
        Properties settings = new Properties();
        settings.putAll(Map.of(
            StreamsConfig.APPLICATION_ID_CONFIG, task.getString("name"),
            StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, task.getString("bootstrap"),
            StreamsConfig.STATE_DIR_CONFIG, task.getString("directory"),
            StreamsConfig.NUM_STREAM_THREADS_CONFIG, 1,
            StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.AT_LEAST_ONCE,
            StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, (long) (task.getDoubleValue("commit_s") * 1000),
            "auto.offset.reset", "earliest",
            StreamsConfig.mainConsumerPrefix("interceptor.classes"), List.of(Rekey.class.getName())));
        return settings;
    }
}
