package bench;

import java.nio.ByteBuffer;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;

/** A session's value: 16 bytes. When it began and ended is in its window. */
record Conversation(long messages, long requests) {
    static final Conversation NONE = new Conversation(0, 0);
    static final Serde<Conversation> SERDE = Serdes.serdeFrom(
        (topic, one) -> one == null ? null : ByteBuffer.allocate(16).putLong(one.messages).putLong(one.requests).array(),
        (topic, bytes) -> bytes == null ? null : of(ByteBuffer.wrap(bytes)));

    Conversation and(Conversation other) {
        return new Conversation(messages + other.messages, requests + other.requests);
    }

    private static Conversation of(ByteBuffer bytes) {
        return new Conversation(bytes.getLong(), bytes.getLong());
    }
}
