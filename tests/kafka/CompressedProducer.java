import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Writes records from standard input with Kafka's own client, a producer for each codec, and ends when the broker has
 * all of them.
 *
 * <p>The argument is HOST:PORT. A line is a topic, a codec (none, gzip, snappy, lz4, zstd), a key and a value, in UTF-8,
 * with a tab between two of them.
 */
public final class CompressedProducer {
    private static final int LINGER_MS = 200;

    public static void main(String[] words) throws Exception {
        Map<String, KafkaProducer<byte[], byte[]>> producers = new HashMap<>();
        ArrayList<Future<RecordMetadata>> sent = new ArrayList<>();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] parts = line.split("\t", 4);
            KafkaProducer<byte[], byte[]> producer =
                    producers.computeIfAbsent(parts[1], codec -> producer(words[0], codec));
            sent.add(producer.send(new ProducerRecord<>(parts[0], bytes(parts[2]), bytes(parts[3]))));
        }
        for (Future<RecordMetadata> each : sent) {
            each.get();
        }
        for (KafkaProducer<byte[], byte[]> producer : producers.values()) {
            producer.close();
        }
    }

    private static KafkaProducer<byte[], byte[]> producer(String bootstrap, String codec) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("compression.type", codec);
        settings.put("linger.ms", LINGER_MS);
        return new KafkaProducer<>(settings, new ByteArraySerializer(), new ByteArraySerializer());
    }

    private static byte[] bytes(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
