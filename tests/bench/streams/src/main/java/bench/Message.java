package bench;

import com.alibaba.fastjson2.JSONReader;
import com.alibaba.fastjson2.util.Fnv;
import java.nio.charset.StandardCharsets;
import java.time.Instant;

/** What the topology needs of a CloudEvent: whose it is, when it happened, and whether the user said it. */
record Message(byte[] interaction, long atMs, boolean isRequest) {

    private static final long TIME = Fnv.hashCode64("time");
    private static final long DATA = Fnv.hashCode64("data");
    private static final long WORKSPACE = Fnv.hashCode64("workspace_id");
    private static final long BOT = Fnv.hashCode64("bot_id");
    private static final long CHANNEL = Fnv.hashCode64("channel");
    private static final long USER = Fnv.hashCode64("channel_user_id");
    private static final long DIRECTION = Fnv.hashCode64("direction");

    /** One pass over the bytes: no tree is built, and what is not needed is skipped. */
    static Message parse(byte[] json) {
        try (JSONReader reader = JSONReader.of(json)) {
            var fields = new Fields();
            reader.nextIfObjectStart();
            while (!reader.nextIfObjectEnd()) {
                long name = reader.readFieldNameHashCode();
                if (name == TIME) fields.time = reader.readString();
                else if (name == DATA) fields.readData(reader);
                else reader.skipValue();
            }
            return fields.message();
        }
    }

    private static final class Fields {
        String time;
        String workspace;
        String bot;
        String channel;
        String user;
        String direction;

        void readData(JSONReader reader) {
            reader.nextIfObjectStart();
            while (!reader.nextIfObjectEnd()) {
                long name = reader.readFieldNameHashCode();
                if (name == WORKSPACE) workspace = reader.readString();
                else if (name == BOT) bot = reader.readString();
                else if (name == CHANNEL) channel = reader.readString();
                else if (name == USER) user = reader.readString();
                else if (name == DIRECTION) direction = reader.readString();
                else reader.skipValue();
            }
        }

        Message message() {
            String key = workspace + '|' + bot + '|' + channel + '|' + user;
            return new Message(key.getBytes(StandardCharsets.UTF_8), epochMs(time), "in".equals(direction));
        }
    }

    /** RFC 3339 to milliseconds: the feed's own form by hand, because the library's parser costs more than all the rest. */
    private static long epochMs(String text) {
        if (text.length() != 24 || text.charAt(23) != 'Z') return Instant.parse(text).toEpochMilli();
        int year = number(text, 0, 4);
        int month = number(text, 5, 7);
        int day = number(text, 8, 10);
        long seconds = number(text, 11, 13) * 3600L + number(text, 14, 16) * 60L + number(text, 17, 19);
        return (java.time.LocalDate.of(year, month, day).toEpochDay() * 86_400L + seconds) * 1000L + number(text, 20, 23);
    }

    private static int number(String text, int from, int to) {
        int value = 0;
        for (int at = from; at < to; at++) value = value * 10 + text.charAt(at) - '0';
        return value;
    }
}
