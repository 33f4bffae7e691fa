package bench;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;

/** When a run began and was safe, in wall time and in CPU time of the whole process, compiler and collector included. */
final class Clock {
    private static final OperatingSystemMXBean SYSTEM =
        (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    private static final double WARM_UP = 1 / 4.0;

    private final long limitNs;
    private long arrivedNs;
    private long firstNs;
    private long firstCpuNs;
    private long safeNs;
    private long safeCpuNs;
    private long startBytes;
    private boolean hasArrived;
    private boolean isWarm;

    Clock(double limitS) {
        limitNs = (long) (limitS * 1e9);
    }

    /** The first event is there. Only the first call counts. */
    void arrived() {
        if (hasArrived) return;
        hasArrived = true;
        startBytes = resident("VmRSS");
        begin();
        arrivedNs = firstNs;
    }

    /** True once: when the JVM has had a quarter of the time to compile what is hot. The span begins anew then. */
    boolean becomesWarm() {
        if (isWarm || System.nanoTime() - arrivedNs < WARM_UP * limitNs) return false;
        isWarm = true;
        begin();
        return true;
    }

    private void begin() {
        firstNs = System.nanoTime();
        firstCpuNs = SYSTEM.getProcessCpuTime();
    }

    boolean isOver() {
        return System.nanoTime() - arrivedNs >= limitNs;
    }

    void safe() {
        safeNs = System.nanoTime();
        safeCpuNs = SYSTEM.getProcessCpuTime();
    }

    /** The report that the process which started this one reads. */
    String report(long warming, long events, long conversations, long announced) {
        return ("{\"warming\":%d,\"events\":%d,\"messages\":%d,\"conversations\":%d,\"announced\":%d,\"wall_s\":%s,\"cpu_s\":%s,"
            + "\"peak_bytes\":%d,\"start_bytes\":%d}").formatted(warming, events, warming + events, conversations,
            announced, (safeNs - firstNs) / 1e9, (safeCpuNs - firstCpuNs) / 1e9, resident("VmHWM"), startBytes);
    }

    private static long resident(String name) {
        try (var lines = Files.lines(Path.of("/proc/self/status"))) {
            return lines.filter(line -> line.startsWith(name)).findFirst()
                .map(line -> Long.parseLong(line.replaceAll("\\D", "")) * 1024).orElse(0L);
        } catch (IOException failed) {
            return 0;
        }
    }
}
