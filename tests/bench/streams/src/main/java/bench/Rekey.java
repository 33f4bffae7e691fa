package bench;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.kafka.clients.consumer.ConsumerInterceptor;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

/**
 * Gives each record its interaction for a key and its event time for a timestamp, before the topology sees it.
 *
 * The topic is keyed by workspace, so all of an interaction is in one partition already. A topology that changes
 * keys would write everything to a repartition topic and read it back; here it need not, and the JSON is parsed once.
 */
public final class Rekey implements ConsumerInterceptor<byte[], byte[]> {
    static volatile String topic;

    @Override
    public ConsumerRecords<byte[], byte[]> onConsume(ConsumerRecords<byte[], byte[]> records) {
        Map<TopicPartition, List<ConsumerRecord<byte[], byte[]>>> keyed = new HashMap<>();
        for (TopicPartition partition : records.partitions()) {
            var part = records.records(partition);
            keyed.put(partition, partition.topic().equals(topic) ? rekeyed(part) : part);
        }
        return new ConsumerRecords<>(keyed, records.nextOffsets());
    }

    private static List<ConsumerRecord<byte[], byte[]>> rekeyed(List<ConsumerRecord<byte[], byte[]>> records) {
        List<ConsumerRecord<byte[], byte[]>> keyed = new ArrayList<>(records.size());
        for (var record : records) {
            Message message = Message.parse(record.value());
            byte[] value = {(byte) (message.isRequest() ? 1 : 0)};
            keyed.add(new ConsumerRecord<>(record.topic(), record.partition(), record.offset(), message.atMs(),
                record.timestampType(), message.interaction().length, 1, message.interaction(), value,
                record.headers(), record.leaderEpoch(), Optional.empty()));
        }
        return keyed;
    }

    @Override
    public void onCommit(Map<TopicPartition, OffsetAndMetadata> offsets) {}

    @Override
    public void close() {}

    @Override
    public void configure(Map<String, ?> configs) {}
}
