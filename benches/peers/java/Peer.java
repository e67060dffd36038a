import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.*;
import java.util.concurrent.locks.LockSupport;
import java.util.function.IntSupplier;

import com.sun.management.OperatingSystemMXBean;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Java's own client. It says the same as ../common does in Rust, and prints the same. */
public final class Peer {
    static final Map<String, String> given = new HashMap<>();
    static String[] topics;
    static String codec;
    static int size, partitions, window, threads;
    static boolean keyed;
    static List<Header> headers;
    static byte[][] values; // every window of the text would be 64 Ki arrays: Java cannot send part of an array
    static KafkaProducer<byte[], byte[]> producer;

    static String text(String name, String otherwise) {
        String value = given.remove(name);
        return value == null ? otherwise : value;
    }

    static int number(String name, int otherwise) {
        return Integer.parseInt(text(name, Integer.toString(otherwise)));
    }

    static void fail(Object why) {
        System.err.println(why);
        Runtime.getRuntime().halt(1);
    }

    public static void main(String[] args) throws Exception {
        for (String arg : args) given.put(arg.substring(0, arg.indexOf('=')), arg.substring(arg.indexOf('=') + 1));
        String mode = text("mode", "stream");
        String topic = text("topic", "bench");
        int count = number("topics", 1);
        topics = new String[count];
        for (int i = 0; i < count; i++) topics[i] = count == 1 ? topic : topic + "-" + i;
        partitions = number("partitions", 6);
        size = number("size", 100);
        window = number("window", 65_536);
        threads = number("threads", 1);
        keyed = number("keyed", 0) != 0;
        headers = number("headers", 0) == 0 ? null : List.of(
            new RecordHeader("trace-id", "4bf92f3577b34da6a3ce929d0e0e4736".getBytes()),
            new RecordHeader("content-type", "application/json".getBytes()), new RecordHeader("origin", "eu-1".getBytes()));
        int tasks = number("tasks", 1000), rate = number("rate", 10_000);
        double seconds = Double.parseDouble(text("seconds", "2")), warmup = Math.min(seconds / 4, 1);
        Map<String, Object> config = new TreeMap<>();
        config.put("acks", "all");
        config.put("enable.idempotence", "true");
        config.put("linger.ms", text("linger_ms", "5"));
        codec = text("codec", "none");
        config.put("compression.type", codec);
        int batch = number("batch", 16 * 1024), buffer = number("buffer", 32 << 20);
        if (batch > 0) {
            config.put("batch.size", batch);
            config.put("buffer.memory", buffer);
        }
        if (size > 900_000) config.put("max.request.size", size + 65_536);
        String trusted = text("tls", null);
        if (trusted != null) {
            config.put("security.protocol", "SSL");
            config.put("ssl.truststore.type", "PEM");
        }
        String settings = config.toString().replaceAll("[{},]", "") + " -Xmx512m";
        if (trusted != null) {
            config.put("ssl.truststore.location", trusted);
            settings += " tls=JSSE of Java " + System.getProperty("java.version");
        }
        config.put("bootstrap.servers", text("bootstrap", "127.0.0.1:9092"));
        if (!given.isEmpty()) fail("no such setting: " + given);
        values = payload();

        long built = System.nanoTime();
        producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
        var open = new CountDownLatch(count);
        for (int i = 0; i < count; i++) send(i, open::countDown);
        open.await();
        double firstAck = (System.nanoTime() - built) / 1e6;
        Map<String, Object> result = new TreeMap<>();
        switch (mode) {
            case "first" -> result.put("first_ack_ms", firstAck);
            case "stream" -> {
                streams(warmup);
                measure(result, () -> streams(seconds));
            }
            case "rate" -> {
                rate(rate, warmup, new TreeMap<>());
                measure(result, () -> rate(rate, seconds, result));
            }
            case "idle" -> {
                streams(warmup);
                Thread.sleep(500);
                System.out.println("idle");
                Thread.sleep((long) (seconds * 1000));
            }
            // Java 17 has no light threads, and a thousand real ones would be measured instead.
            default -> result.put("unsupported", true);
        }
        result.put("rss_mib", peakRss());
        var line = new StringBuilder("{");
        result.forEach((name, value) -> line.append("\"").append(name).append("\": ").append(value).append(", "));
        System.out.println(line + "\"settings\": \"" + settings + "\"}");
        System.out.flush();
        Runtime.getRuntime().halt(0);
    }

    static void send(long record, Runnable acknowledged) {
        byte[] key = keyed ? ByteBuffer.allocate(8).putLong(record * 0x9E3779B97F4A7C15L).array() : null;
        String topic = topics[(int) (record % topics.length)];
        producer.send(new ProducerRecord<>(topic, null, null, key, values[(int) (record % values.length)], headers), (metadata, error) -> {
            if (error != null) fail(error);
            acknowledged.run();
        });
    }

    static int streams(double seconds) {
        long until = System.nanoTime() + (long) (seconds * 1e9);
        var total = new AtomicInteger();
        var all = new ArrayList<Thread>();
        for (int t = 0; t < threads; t++) {
            long first = t * 1_000_003L;
            var thread = new Thread(() -> total.addAndGet(stream(first, until)));
            thread.start();
            all.add(thread);
        }
        for (Thread thread : all) {
            try {
                thread.join();
            } catch (InterruptedException interrupted) {
                fail(interrupted);
            }
        }
        return total.get();
    }

    static int stream(long first, long until) {
        var room = new Semaphore(window / threads);
        int records = 0;
        while ((size < 4096 && records % 64 != 0) || System.nanoTime() < until) {
            room.acquireUninterruptibly();
            send(first + records, room::release);
            records++;
        }
        room.acquireUninterruptibly(window / threads);
        return records;
    }

    static int rate(int rate, double seconds, Map<String, Object> result) {
        int count = (int) (rate * seconds);
        long[] latency = new long[count], late = new long[count];
        var open = new CountDownLatch(count);
        long start = System.nanoTime();
        for (int i = 0; i < count; i++) {
            int record = i;
            long due = start + record * 1_000_000_000L / rate, now;
            while ((now = System.nanoTime()) < due) LockSupport.parkNanos(due - now);
            late[record] = (now - due) / 1000;
            send(record, () -> {
                latency[record] = (System.nanoTime() - due) / 1000;
                open.countDown();
            });
        }
        try {
            open.await();
        } catch (InterruptedException interrupted) {
            fail(interrupted);
        }
        Arrays.sort(latency);
        Arrays.sort(late);
        result.put("p50", latency[count / 2]);
        result.put("p99", latency[(int) (count * 0.99)]);
        result.put("p999", latency[(int) (count * 0.999)]);
        result.put("late50", late[count / 2]);
        result.put("late99", late[(int) (count * 0.99)]);
        return count;
    }

    static void measure(Map<String, Object> result, IntSupplier work) {
        var system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        long cpu = system.getProcessCpuTime(), started = System.nanoTime();
        result.put("records", work.getAsInt());
        result.put("seconds", (System.nanoTime() - started) / 1e9);
        result.put("cpu", (system.getProcessCpuTime() - cpu) / 1e9);
    }

    static double peakRss() throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status")))
            if (line.startsWith("VmHWM:")) return Long.parseLong(line.replaceAll("[^0-9]", "")) / 1024.0;
        return 0;
    }

    static long state = 0x9E3779B97F4A7C15L;

    static int below(int limit) {
        state = state * 6_364_136_223_846_793_005L + 1_442_695_040_888_963_407L;
        return (int) ((state >>> 33) % limit);
    }

    static byte[][] payload() {
        var words = new String[512];
        for (int i = 0; i < 512; i++) {
            var word = new StringBuilder();
            for (int left = 3 + below(8); left > 0; left--) word.append((char) ('a' + below(26)));
            words[i] = word.toString();
        }
        var text = new StringBuilder();
        int starts = codec.equals("none") ? 64 * 1024 : 4 << 20, length = starts + size;
        while (text.length() < length) {
            if (below(4) == 0) text.append(below(1_000_000)); else text.append(words[below(512)]);
            text.append(' ');
        }
        byte[] bytes = text.toString().getBytes(StandardCharsets.US_ASCII);
        // Fewer than there are starts, so that they fit a cache, or are as large as the text.
        byte[][] all = new byte[Math.max(1, Math.min(4096, starts * 4 / size))][];
        for (int i = 0; i < all.length; i++) {
            int start = (int) (i * 40_503L % starts);
            all[i] = Arrays.copyOfRange(bytes, start, start + size);
        }
        return all;
    }
}
