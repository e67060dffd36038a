import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintWriter;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.ProduceRequestData;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Stands between two producers (the Java client; librdkafka, as kcat) and a real broker, and writes down what they say to each other.
 * The broker advertises this proxy's port. Arguments: output folder, proxy port, broker port.
 */
public final class Capture {
    private static final HexFormat HEX = HexFormat.of();

    private record Exchange(int api, int version, byte[] request, byte[] response) {}

    private static final List<Exchange> exchanges = Collections.synchronizedList(new ArrayList<>());

    public static void main(String[] args) throws Exception {
        Path out = Path.of(args[0]);
        int port = Integer.parseInt(args[1]);
        int broker = Integer.parseInt(args[2]);
        ServerSocket server = new ServerSocket(port, 50, InetAddress.getByName("127.0.0.1"));
        daemon(() -> {
            while (true) {
                Socket client = server.accept();
                daemon(() -> serve(client, broker));
            }
        });
        String bootstrap = "127.0.0.1:" + port;
        // Both topics exist from here on, so that no answer depends on how soon a topic is made.
        java(bootstrap, "none", true, "golden-java", "golden-librdkafka");
        exchanges.clear();
        try (PrintWriter w = writer(out.resolve("java-client.txt"))) {
            Set<String> seen = new HashSet<>();
            for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
                java(bootstrap, codec, true, "golden-java");
                drain(w, "idempotent-" + codec, seen);
            }
            java(bootstrap, "none", false, "golden-java");
            drain(w, "plain-none", seen);
        }
        try (PrintWriter w = writer(out.resolve("librdkafka.txt"))) {
            Set<String> seen = new HashSet<>();
            for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
                kcat(bootstrap, lines(), "-t", "golden-librdkafka", "-p", "0", "-z", codec, "-K", ":", "-Z", "-H", "b=1", "-H", "a=2", "-H", "b=3", "-X", "enable.idempotence=true");
                drain(w, "idempotent-" + codec, seen);
            }
            kcat(bootstrap, lines(), "-t", "golden-librdkafka", "-p", "0", "-z", "none", "-K", ":", "-X", "acks=1");
            drain(w, "plain-none", seen);
        }
        try (PrintWriter w = writer(out.resolve("librdkafka-partitions.txt"))) {
            StringBuilder keys = new StringBuilder();
            for (int i = 0; i < 200; i++) {
                keys.append("key-").append(Integer.toString(i * 7919, 36)).append("x".repeat(i % 5)).append(":v\n");
            }
            for (String partitioner : List.of("consistent", "murmur2")) {
                kcat(bootstrap, keys.toString(), "-t", "golden-partitions", "-K", ":", "-X", "topic.partitioner=" + partitioner);
                partitions(w, partitioner);
            }
        }
        System.exit(0);
    }

    private static PrintWriter writer(Path path) throws IOException {
        return new PrintWriter(Files.newBufferedWriter(path, StandardCharsets.UTF_8));
    }

    // ---- the producers -------------------------------------------------------------------------------------------

    private static void java(String bootstrap, String codec, boolean idempotent, String... topics) throws Exception {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("client.id", "java");
        p.put("compression.type", codec);
        p.put("enable.idempotence", idempotent);
        p.put("acks", idempotent ? "all" : "1");
        p.put("linger.ms", 60_000); // one batch, sent by flush
        p.put("enable.metrics.push", false);
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(p, new ByteArraySerializer(), new ByteArraySerializer())) {
            for (String topic : topics) {
                producer.partitionsFor(topic);
                long t = 1_700_000_000_123L;
                for (int i = 0; i < 20; i++) {
                    ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(topic, 0, t + i, i % 4 == 3 ? null : bytes("key-" + i % 3), i % 5 == 4 ? null : bytes("value " + i + " All happy families are alike."));
                    record.headers().add(new RecordHeader("b", bytes("1"))).add(new RecordHeader("a", null)).add(new RecordHeader("b", bytes("3")));
                    producer.send(record);
                }
                producer.flush();
            }
        }
    }

    private static String lines() {
        StringBuilder lines = new StringBuilder();
        for (int i = 0; i < 20; i++) {
            lines.append(i % 4 == 3 ? "" : "key-" + i % 3).append(':').append(i % 5 == 4 ? "" : "value " + i + " All happy families are alike.").append('\n');
        }
        return lines.toString();
    }

    private static void kcat(String bootstrap, String input, String... options) throws Exception {
        List<String> command = new ArrayList<>(List.of("kcat", "-P", "-b", bootstrap, "-X", "linger.ms=200"));
        command.addAll(List.of(options));
        Process kcat = new ProcessBuilder(command).redirectOutput(ProcessBuilder.Redirect.DISCARD).redirectError(ProcessBuilder.Redirect.INHERIT).start();
        try (OutputStream stdin = kcat.getOutputStream()) {
            stdin.write(bytes(input));
        }
        if (!kcat.waitFor(60, TimeUnit.SECONDS) || kcat.exitValue() != 0) {
            kcat.destroyForcibly();
            throw new IllegalStateException("kcat failed: " + command);
        }
    }

    private static byte[] bytes(String s) {
        return s.getBytes(StandardCharsets.UTF_8);
    }

    // ---- what was said -------------------------------------------------------------------------------------------

    /** Writes every produce exchange, and the first of each other kind. */
    private static void drain(PrintWriter w, String name, Set<String> seen) {
        synchronized (exchanges) {
            for (Exchange e : exchanges) {
                boolean produce = e.api == ApiKeys.PRODUCE.id;
                if (produce || seen.add(e.api + " " + e.version)) {
                    w.println(ApiKeys.forId(e.api).name.toLowerCase() + " " + e.version + " " + (produce ? name : "-") + " " + HEX.formatHex(e.request) + " " + HEX.formatHex(e.response));
                }
            }
            exchanges.clear();
        }
    }

    private static void partitions(PrintWriter w, String partitioner) {
        Map<String, Integer> found = new TreeMap<>();
        synchronized (exchanges) {
            for (Exchange e : exchanges) {
                if (e.api == ApiKeys.PRODUCE.id) {
                    ByteBuffer buffer = ByteBuffer.wrap(e.request);
                    new RequestHeaderData(new ByteBufferAccessor(buffer), ApiKeys.PRODUCE.requestHeaderVersion((short) e.version));
                    ProduceRequestData data = new ProduceRequestData(new ByteBufferAccessor(buffer), (short) e.version);
                    for (ProduceRequestData.TopicProduceData topic : data.topicData()) {
                        for (ProduceRequestData.PartitionProduceData partition : topic.partitionData()) {
                            for (Record record : ((MemoryRecords) partition.records()).records()) {
                                byte[] key = new byte[record.keySize()];
                                record.key().get(key);
                                found.put(HEX.formatHex(key), partition.index());
                            }
                        }
                    }
                }
            }
            exchanges.clear();
        }
        found.forEach((key, partition) -> w.println(partitioner + " x" + key + " " + partition));
    }

    // ---- the proxy -----------------------------------------------------------------------------------------------

    private interface Job {
        void run() throws Exception;
    }

    private static void daemon(Job job) {
        Thread thread = new Thread(() -> {
            try {
                job.run();
            } catch (EOFException | java.net.SocketException e) {
                // the other side is done
            } catch (Exception e) {
                e.printStackTrace();
                System.exit(1);
            }
        });
        thread.setDaemon(true);
        thread.start();
    }

    private static void serve(Socket client, int brokerPort) throws Exception {
        try (client; Socket broker = new Socket("127.0.0.1", brokerPort)) {
            Map<Integer, byte[]> open = new ConcurrentHashMap<>();
            daemon(() -> {
                try (client; broker) {
                    DataInputStream in = new DataInputStream(client.getInputStream());
                    DataOutputStream out = new DataOutputStream(broker.getOutputStream());
                    while (true) {
                        byte[] request = frame(in);
                        open.put(ByteBuffer.wrap(request).getInt(4), request);
                        send(out, request);
                    }
                }
            });
            DataInputStream in = new DataInputStream(broker.getInputStream());
            DataOutputStream out = new DataOutputStream(client.getOutputStream());
            while (true) {
                byte[] response = frame(in);
                byte[] request = open.remove(ByteBuffer.wrap(response).getInt(0));
                ByteBuffer head = ByteBuffer.wrap(request);
                exchanges.add(new Exchange(head.getShort(0), head.getShort(2), request, response));
                send(out, response);
            }
        }
    }

    private static byte[] frame(DataInputStream in) throws IOException {
        byte[] body = new byte[in.readInt()];
        in.readFully(body);
        return body;
    }

    private static void send(DataOutputStream out, byte[] body) throws IOException {
        ByteBuffer framed = ByteBuffer.allocate(4 + body.length).putInt(body.length).put(body);
        out.write(framed.array());
    }
}
