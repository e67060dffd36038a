import java.io.PrintWriter;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.message.*;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ApiMessage;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.RecordBatch;
import org.apache.kafka.common.utils.Utils;

/** Writes what the Java client's own classes make of fixed inputs: record batches, requests and responses, hashes. The formats are in ../README.md. */
public final class Golden {
    private static final HexFormat HEX = HexFormat.of();

    public static void main(String[] args) throws Exception {
        Path out = Path.of(args[0]);
        try (PrintWriter w = writer(out.resolve("batches.txt"))) {
            batches(w);
        }
        try (PrintWriter w = writer(out.resolve("messages.txt"))) {
            messages(w);
        }
        try (PrintWriter w = writer(out.resolve("murmur2.txt"))) {
            murmur2Vectors(w);
        }
        Files.write(out.resolve("murmur2-10000.bin"), murmur2Random(10_000));
    }

    private static PrintWriter writer(Path path) throws Exception {
        return new PrintWriter(Files.newBufferedWriter(path, StandardCharsets.UTF_8));
    }

    // ---- record batches ------------------------------------------------------------------------------------------

    /** Bytes with the notation that stands for them in the file: {@code -} null, {@code x..} hex, {@code *n:..} hex repeated n times. */
    private record Data(byte[] bytes, String text) {
        static final Data NULL = new Data(null, "-");

        static Data of(String s) {
            return of(s.getBytes(StandardCharsets.UTF_8));
        }

        static Data of(byte[] b) {
            return new Data(b, "x" + HEX.formatHex(b));
        }

        static Data repeat(int times, String s) {
            byte[] unit = s.getBytes(StandardCharsets.UTF_8);
            ByteBuffer all = ByteBuffer.allocate(times * unit.length);
            for (int i = 0; i < times; i++) {
                all.put(unit);
            }
            return new Data(all.array(), "*" + times + ":" + HEX.formatHex(unit));
        }
    }

    private record HeaderOf(String key, Data value) {}

    private record RecordOf(long timestamp, Data key, Data value, HeaderOf... headers) {}

    private record Records(String name, RecordOf... records) {}

    private static final long T = 1_700_000_000_123L;

    private static Records records(String name, RecordOf... records) {
        return new Records(name, records);
    }

    private static RecordOf rec(long timestamp, Data key, Data value, HeaderOf... headers) {
        return new RecordOf(timestamp, key, value, headers);
    }

    private static void batches(PrintWriter w) {
        Records basic = records("basic", rec(T, Data.of("k1"), Data.of("first")), rec(T + 5, Data.of("k2"), Data.of("second")), rec(T + 7, Data.of("k1"), Data.of("third")));
        Records one = records("one", rec(T, Data.NULL, Data.of("v")));
        Records nulls = records("nulls", rec(T, Data.NULL, Data.NULL), rec(T, Data.of(""), Data.of("")), rec(T, Data.of("tombstone"), Data.NULL), rec(T, Data.NULL, Data.of("no key")));
        Records headers = records("headers",
            rec(T, Data.of("k"), Data.of("v"), new HeaderOf("b", Data.of("1")), new HeaderOf("a", Data.of("2")), new HeaderOf("b", Data.of("3")), new HeaderOf("b", Data.of("1"))),
            rec(T, Data.NULL, Data.NULL, new HeaderOf("", Data.of("")), new HeaderOf("null", Data.NULL), new HeaderOf("grüße 你好 🦀", Data.of(new byte[] {0, -1, 127, -128}))),
            rec(T + 1, Data.of("none"), Data.of("v")));
        Records timestamps = records("timestamps", rec(T, Data.NULL, Data.of("base")), rec(T - 1, Data.NULL, Data.of("before")), rec(T + 3_600_000, Data.NULL, Data.of("an hour later")),
            rec(0, Data.NULL, Data.of("epoch")), rec(T + 86_400_000L * 3650, Data.NULL, Data.of("ten years later")), rec(T, Data.NULL, Data.of("again")));
        Records noTimestamp = records("no-timestamp", rec(-1, Data.NULL, Data.of("a")), rec(-1, Data.NULL, Data.of("b")));
        // Lengths on both sides of where a zigzag varint grows.
        Records sizes = records("sizes", rec(T, Data.repeat(63, "k"), Data.repeat(64, "v")), rec(T + 64, Data.repeat(8191, "k"), Data.repeat(8192, "v")),
            rec(T + 8192, Data.NULL, Data.repeat(52, "r")), rec(T + 8192, Data.NULL, Data.repeat(58, "r")), rec(T + 8192, Data.NULL, Data.repeat(59, "r")));
        RecordOf[] lines = new RecordOf[40];
        for (int i = 0; i < lines.length; i++) {
            lines[i] = rec(T + i * 3L, Data.of("host-" + i % 7), Data.of("GET /items/" + (i * 7919 % 1000) + " HTTP/1.1 200 " + (i * 31 % 97) + " ms"));
        }
        Records text = records("text", lines);
        // More than one block of snappy (32 KiB as Java writes it) and of lz4 (64 KiB).
        Records large = records("large", rec(T, Data.of("before"), Data.of("small")), rec(T, Data.of("large"), Data.repeat(6000, "All happy families are alike. ")), rec(T, Data.of("after"), Data.of("small")));
        byte[] noise = new byte[600];
        long[] state = {42};
        for (int i = 0; i < noise.length; i++) {
            noise[i] = (byte) next(state);
        }
        Records random = records("noise", rec(T, Data.of("noise"), Data.of(noise)));

        for (Records r : List.of(basic, one, nulls, headers, timestamps, noTimestamp, sizes, text, large, random)) {
            w.println("records " + r.name);
            for (RecordOf record : r.records) {
                w.print("record " + record.timestamp + " " + record.key.text + " " + record.value.text);
                for (HeaderOf h : record.headers) {
                    w.print(" x" + HEX.formatHex(h.key.getBytes(StandardCharsets.UTF_8)) + "=" + h.value.text);
                }
                w.println();
            }
        }

        Compression none = Compression.NONE;
        for (Records r : List.of(basic, one, nulls, headers, timestamps, noTimestamp, sizes, text)) {
            batch(w, "plain", r, "none", none, -1, (short) -1, -1, false, 0, -1);
        }
        batch(w, "idempotent", basic, "none", none, 4242, (short) 7, 0, false, 0, -1);
        batch(w, "sequence-wraps", basic, "none", none, 4242, (short) 7, Integer.MAX_VALUE - 1, false, 0, -1);
        batch(w, "limits", one, "none", none, Long.MAX_VALUE, Short.MAX_VALUE, Integer.MAX_VALUE, false, 0, -1);
        batch(w, "transactional", basic, "none", none, 99, (short) 0, 12, true, 0, -1);
        batch(w, "stored", basic, "none", none, 99, (short) 0, 12, false, 1_000_000_000_007L, 5);
        logAppendTime(w, basic);
        controlBatch(w);
        for (String codec : List.of("gzip", "snappy", "lz4", "zstd")) {
            for (Records r : List.of(basic, nulls, headers, timestamps, text, large, random)) {
                batch(w, "compressed", r, codec, Compression.of(codec).build(), 4242, (short) 7, 3, false, 0, -1);
            }
        }
        for (int level : new int[] {1, 9}) {
            batch(w, "level-" + level, text, "gzip", Compression.gzip().level(level).build(), -1, (short) -1, -1, false, 0, -1);
        }
        for (int level : new int[] {1, 17}) {
            batch(w, "level-" + level, text, "lz4", Compression.lz4().level(level).build(), -1, (short) -1, -1, false, 0, -1);
        }
        for (int level : new int[] {-5, 1, 19}) {
            batch(w, "level-" + level, text, "zstd", Compression.zstd().level(level).build(), -1, (short) -1, -1, false, 0, -1);
        }
    }

    private static void batch(PrintWriter w, String name, Records r, String codec, Compression compression, long producerId, short epoch, int sequence,
                              boolean transactional, long baseOffset, int leaderEpoch) {
        MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(1024), RecordBatch.MAGIC_VALUE_V2, compression, TimestampType.CREATE_TIME,
            baseOffset, RecordBatch.NO_TIMESTAMP, producerId, epoch, sequence, transactional, leaderEpoch);
        fill(builder, r);
        print(w, name, r.name, codec, "create", producerId, epoch, sequence, transactional, false, baseOffset, leaderEpoch, builder.build());
    }

    private static void fill(MemoryRecordsBuilder builder, Records r) {
        for (RecordOf record : r.records) {
            Header[] headers = Arrays.stream(record.headers).map(h -> new RecordHeader(h.key, h.value.bytes)).toArray(Header[]::new);
            builder.append(record.timestamp, record.key.bytes, record.value.bytes, headers);
        }
    }

    private static void logAppendTime(PrintWriter w, Records r) {
        MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(1024), RecordBatch.MAGIC_VALUE_V2, Compression.NONE, TimestampType.LOG_APPEND_TIME,
            10, T + 999, -1, (short) -1, -1, false, 3);
        fill(builder, r);
        print(w, "log-append-time", r.name, "none", "append:" + (T + 999), -1, -1, -1, false, false, 10, 3, builder.build());
    }

    private static void controlBatch(PrintWriter w) {
        MemoryRecords marker = MemoryRecords.withEndTransactionMarker(20, T, 3, 99, (short) 1, new EndTransactionMarker(ControlRecordType.COMMIT, 8));
        print(w, "commit-marker", "-", "none", "create", 99, 1, -1, true, true, 20, 3, marker);
    }

    private static void print(PrintWriter w, String name, String records, String codec, String time, long producerId, int epoch, int sequence, boolean transactional,
                              boolean control, long baseOffset, int leaderEpoch, MemoryRecords batch) {
        w.println("batch " + name + " records=" + records + " codec=" + codec + " time=" + time + " producer_id=" + producerId + " epoch=" + epoch + " sequence=" + sequence
            + " transactional=" + transactional + " control=" + control + " base_offset=" + baseOffset + " leader_epoch=" + leaderEpoch);
        w.println("bytes " + HEX.formatHex(bytes(batch.buffer())));
    }

    private static byte[] bytes(ByteBuffer buffer) {
        byte[] b = new byte[buffer.remaining()];
        buffer.duplicate().get(b);
        return b;
    }

    // ---- requests and responses ----------------------------------------------------------------------------------

    private static final Uuid ALPHA = new Uuid(0x0102030405060708L, 0x1112131415161718L);
    private static final Uuid BETA = new Uuid(0x2122232425262728L, 0x3132333435363738L);

    private static void messages(PrintWriter w) {
        produce(w);
        metadata(w);
        apiVersions(w);
        initProducerId(w);
        createTopics(w);
    }

    private static void request(PrintWriter w, ApiKeys api, int version, String name, ApiMessage message) {
        for (String clientId : name.equals("main") ? new String[] {"milena", null} : new String[] {"milena"}) {
            RequestHeaderData header = new RequestHeaderData().setRequestApiKey(api.id).setRequestApiVersion((short) version).setCorrelationId(0x01020304).setClientId(clientId);
            line(w, api, version, "request", clientId == null ? name + "-no-client-id" : name, header, api.requestHeaderVersion((short) version), message);
        }
    }

    private static void response(PrintWriter w, ApiKeys api, int version, String name, ApiMessage message) {
        line(w, api, version, "response", name, new ResponseHeaderData().setCorrelationId(0x01020304), api.responseHeaderVersion((short) version), message);
    }

    private static void line(PrintWriter w, ApiKeys api, int version, String direction, String name, Message header, short headerVersion, Message message) {
        String head = HEX.formatHex(bytes(MessageUtil.toByteBufferAccessor(header, headerVersion).buffer()));
        String body = HEX.formatHex(bytes(MessageUtil.toByteBufferAccessor(message, (short) version).buffer()));
        w.println(api.name.toLowerCase() + " " + version + " " + direction + " " + name + " " + head + " " + body);
    }

    private static MemoryRecords sample(String value, long producerId, short epoch, int sequence) {
        MemoryRecordsBuilder builder = MemoryRecords.builder(ByteBuffer.allocate(256), RecordBatch.MAGIC_VALUE_V2, Compression.NONE, TimestampType.CREATE_TIME,
            0, RecordBatch.NO_TIMESTAMP, producerId, epoch, sequence, false, -1);
        builder.append(T, "k".getBytes(StandardCharsets.UTF_8), value.getBytes(StandardCharsets.UTF_8));
        builder.append(T + 1, null, "second".getBytes(StandardCharsets.UTF_8));
        return builder.build();
    }

    private static void produce(PrintWriter w) {
        for (int v = 3; v <= 13; v++) {
            ProduceRequestData data = new ProduceRequestData().setAcks((short) -1).setTimeoutMs(30_000);
            ProduceRequestData.TopicProduceData alpha = new ProduceRequestData.TopicProduceData().setPartitionData(List.of(
                new ProduceRequestData.PartitionProduceData().setIndex(0).setRecords(sample("alpha-0", 4242, (short) 7, 0)),
                new ProduceRequestData.PartitionProduceData().setIndex(300).setRecords(sample("alpha-300", 4242, (short) 7, 11))));
            ProduceRequestData.TopicProduceData beta = new ProduceRequestData.TopicProduceData().setPartitionData(List.of(
                new ProduceRequestData.PartitionProduceData().setIndex(1).setRecords(sample("beta-1", -1, (short) -1, -1))));
            if (v >= 13) {
                alpha.setTopicId(ALPHA);
                beta.setTopicId(BETA);
            } else {
                alpha.setName("alpha");
                beta.setName("beta");
            }
            data.topicData().add(alpha);
            data.topicData().add(beta);
            request(w, ApiKeys.PRODUCE, v, "main", data);
            request(w, ApiKeys.PRODUCE, v, "transactional-acks-1", data.duplicate().setAcks((short) 1).setTransactionalId("tx"));

            ProduceResponseData ok = new ProduceResponseData().setThrottleTimeMs(17);
            ProduceResponseData.TopicProduceResponse a = new ProduceResponseData.TopicProduceResponse();
            a.partitionResponses().add(new ProduceResponseData.PartitionProduceResponse().setIndex(0).setErrorCode((short) 0).setBaseOffset(1_000_000_000_001L).setLogAppendTimeMs(-1).setLogStartOffset(v >= 5 ? 12 : -1));
            ProduceResponseData.PartitionProduceResponse moved = new ProduceResponseData.PartitionProduceResponse().setIndex(300).setErrorCode((short) 6).setBaseOffset(-1).setLogAppendTimeMs(T).setLogStartOffset(-1);
            if (v >= 8) {
                moved.setErrorMessage("moved");
            }
            if (v >= 10) {
                moved.setCurrentLeader(new ProduceResponseData.LeaderIdAndEpoch().setLeaderId(3).setLeaderEpoch(9));
                ok.nodeEndpoints().add(new ProduceResponseData.NodeEndpoint().setNodeId(3).setHost("broker-3.example").setPort(9092).setRack("r1"));
            }
            a.partitionResponses().add(moved);
            ProduceResponseData.TopicProduceResponse b = new ProduceResponseData.TopicProduceResponse();
            ProduceResponseData.PartitionProduceResponse bad = new ProduceResponseData.PartitionProduceResponse().setIndex(1).setErrorCode((short) 87).setBaseOffset(-1).setLogAppendTimeMs(-1).setLogStartOffset(-1);
            if (v >= 8) {
                bad.setRecordErrors(List.of(new ProduceResponseData.BatchIndexAndErrorMessage().setBatchIndex(1).setBatchIndexErrorMessage("no key"),
                    new ProduceResponseData.BatchIndexAndErrorMessage().setBatchIndex(2)));
            }
            b.partitionResponses().add(bad);
            if (v >= 13) {
                a.setTopicId(ALPHA);
                b.setTopicId(BETA);
            } else {
                a.setName("alpha");
                b.setName("beta");
            }
            ok.responses().add(a);
            ok.responses().add(b);
            response(w, ApiKeys.PRODUCE, v, "main", ok);
            response(w, ApiKeys.PRODUCE, v, "empty", new ProduceResponseData());
        }
    }

    private static void metadata(PrintWriter w) {
        for (int v = 0; v <= 13; v++) {
            MetadataRequestData two = new MetadataRequestData().setTopics(List.of(new MetadataRequestData.MetadataRequestTopic().setName("alpha"), new MetadataRequestData.MetadataRequestTopic().setName("beta")));
            two.setAllowAutoTopicCreation(v < 4);
            request(w, ApiKeys.METADATA, v, "main", two);
            if (v >= 4) {
                request(w, ApiKeys.METADATA, v, "auto-create", two.duplicate().setAllowAutoTopicCreation(true));
            }
            if (v >= 1) {
                request(w, ApiKeys.METADATA, v, "all", new MetadataRequestData().setTopics(null).setAllowAutoTopicCreation(v < 4));
            }
            request(w, ApiKeys.METADATA, v, "no-topics", new MetadataRequestData().setTopics(Collections.emptyList()).setAllowAutoTopicCreation(v < 4));
            if (v >= 12) {
                request(w, ApiKeys.METADATA, v, "by-id", new MetadataRequestData().setAllowAutoTopicCreation(false)
                    .setTopics(List.of(new MetadataRequestData.MetadataRequestTopic().setName(null).setTopicId(ALPHA))));
            }

            MetadataResponseData data = new MetadataResponseData();
            data.brokers().add(new MetadataResponseData.MetadataResponseBroker().setNodeId(1).setHost("broker-1.example").setPort(9092));
            data.brokers().add(new MetadataResponseData.MetadataResponseBroker().setNodeId(7).setHost("::1").setPort(65535).setRack(v >= 1 ? "rack-a" : null));
            MetadataResponseData.MetadataResponseTopic alpha = new MetadataResponseData.MetadataResponseTopic().setName("alpha").setIsInternal(v >= 1);
            alpha.partitions().add(new MetadataResponseData.MetadataResponsePartition().setPartitionIndex(0).setLeaderId(1).setReplicaNodes(List.of(1, 7)).setIsrNodes(List.of(1)));
            alpha.partitions().add(new MetadataResponseData.MetadataResponsePartition().setPartitionIndex(1).setErrorCode((short) 5).setLeaderId(-1).setReplicaNodes(List.of(7)).setIsrNodes(List.of()));
            MetadataResponseData.MetadataResponseTopic missing = new MetadataResponseData.MetadataResponseTopic().setName("missing").setErrorCode((short) 3);
            if (v >= 1) {
                data.setControllerId(7);
            }
            if (v >= 2) {
                data.setClusterId("cluster-x");
            }
            if (v >= 3) {
                data.setThrottleTimeMs(23);
            }
            if (v >= 5) {
                alpha.partitions().get(0).setOfflineReplicas(List.of(7));
            }
            if (v >= 7) {
                alpha.partitions().get(0).setLeaderEpoch(12);
                alpha.partitions().get(1).setLeaderEpoch(13);
            }
            if (v >= 8) {
                alpha.setTopicAuthorizedOperations(0x0df8);
            }
            if (v >= 8 && v <= 10) {
                data.setClusterAuthorizedOperations(0x0af8);
            }
            if (v >= 10) {
                alpha.setTopicId(ALPHA);
            }
            data.topics().add(alpha);
            data.topics().add(missing);
            response(w, ApiKeys.METADATA, v, "main", data);
            if (v >= 12) {
                MetadataResponseData unknown = new MetadataResponseData();
                unknown.topics().add(new MetadataResponseData.MetadataResponseTopic().setName(null).setTopicId(BETA).setErrorCode((short) 100));
                response(w, ApiKeys.METADATA, v, "unknown-id", unknown);
            }
            if (v >= 13) {
                response(w, ApiKeys.METADATA, v, "rebootstrap", new MetadataResponseData().setErrorCode((short) 129));
            }
        }
    }

    private static void apiVersions(PrintWriter w) {
        for (int v = 0; v <= 4; v++) {
            ApiVersionsRequestData request = new ApiVersionsRequestData();
            if (v >= 3) {
                request.setClientSoftwareName("milena").setClientSoftwareVersion("0.1.0");
            }
            request(w, ApiKeys.API_VERSIONS, v, "main", request);

            ApiVersionsResponseData data = new ApiVersionsResponseData();
            data.apiKeys().add(new ApiVersionsResponseData.ApiVersion().setApiKey((short) 0).setMinVersion((short) 3).setMaxVersion((short) 13));
            data.apiKeys().add(new ApiVersionsResponseData.ApiVersion().setApiKey((short) 3).setMinVersion((short) 0).setMaxVersion((short) 13));
            data.apiKeys().add(new ApiVersionsResponseData.ApiVersion().setApiKey((short) 9999).setMinVersion((short) 1).setMaxVersion((short) 2));
            if (v >= 1) {
                data.setThrottleTimeMs(5);
            }
            if (v >= 3) {
                data.supportedFeatures().add(new ApiVersionsResponseData.SupportedFeatureKey().setName("metadata.version").setMinVersion((short) 1).setMaxVersion((short) 25));
                data.setFinalizedFeaturesEpoch(88);
                data.finalizedFeatures().add(new ApiVersionsResponseData.FinalizedFeatureKey().setName("metadata.version").setMinVersionLevel((short) 20).setMaxVersionLevel((short) 20));
                data.setZkMigrationReady(true);
            }
            response(w, ApiKeys.API_VERSIONS, v, "main", data);
            response(w, ApiKeys.API_VERSIONS, v, "unsupported", new ApiVersionsResponseData().setErrorCode((short) 35));
        }
    }

    private static void initProducerId(PrintWriter w) {
        for (int v = 0; v <= 5; v++) {
            request(w, ApiKeys.INIT_PRODUCER_ID, v, "main", new InitProducerIdRequestData().setTransactionalId(null).setTransactionTimeoutMs(60_000));
            InitProducerIdRequestData again = new InitProducerIdRequestData().setTransactionalId("tx").setTransactionTimeoutMs(1);
            if (v >= 3) {
                again.setProducerId(4242).setProducerEpoch((short) 7);
            }
            request(w, ApiKeys.INIT_PRODUCER_ID, v, "transactional", again);
            response(w, ApiKeys.INIT_PRODUCER_ID, v, "main", new InitProducerIdResponseData().setThrottleTimeMs(3).setProducerId(4242).setProducerEpoch((short) 7));
            response(w, ApiKeys.INIT_PRODUCER_ID, v, "refused", new InitProducerIdResponseData().setErrorCode((short) 31).setProducerId(-1).setProducerEpoch((short) -1));
        }
    }

    private static void createTopics(PrintWriter w) {
        for (int v = 2; v <= 7; v++) {
            CreateTopicsRequestData request = new CreateTopicsRequestData().setTimeoutMs(5000).setValidateOnly(false);
            CreateTopicsRequestData.CreatableTopic plain = new CreateTopicsRequestData.CreatableTopic().setName("alpha").setNumPartitions(6).setReplicationFactor((short) 3);
            plain.configs().add(new CreateTopicsRequestData.CreatableTopicConfig().setName("max.message.bytes").setValue("1000"));
            request.topics().add(plain);
            request(w, ApiKeys.CREATE_TOPICS, v, "main", request);

            CreateTopicsResponseData data = new CreateTopicsResponseData().setThrottleTimeMs(2);
            CreateTopicsResponseData.CreatableTopicResult made = new CreateTopicsResponseData.CreatableTopicResult().setName("alpha");
            if (v >= 5) {
                made.setNumPartitions(6).setReplicationFactor((short) 3).setConfigs(new ArrayList<>());
            }
            if (v >= 7) {
                made.setTopicId(ALPHA);
            }
            data.topics().add(made);
            data.topics().add(new CreateTopicsResponseData.CreatableTopicResult().setName("beta").setErrorCode((short) 36).setErrorMessage("there already"));
            response(w, ApiKeys.CREATE_TOPICS, v, "main", data);
        }
    }

    // ---- hashes --------------------------------------------------------------------------------------------------

    private static void murmur2Vectors(PrintWriter w) {
        List<byte[]> keys = new ArrayList<>();
        // The vectors of Kafka's own UtilsTest.testMurmur2.
        for (String s : List.of("21", "foobar", "a-little-bit-long-string", "a-little-bit-longer-string", "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8")) {
            keys.add(s.getBytes(StandardCharsets.UTF_8));
        }
        keys.add(new byte[] {'a', 'b', 'c'});
        keys.add(new byte[0]);
        for (int n = 1; n <= 9; n++) { // every length of the tail, with bytes that are negative in Java
            byte[] b = new byte[n];
            Arrays.fill(b, (byte) -1);
            b[n - 1] = -128;
            keys.add(b);
        }
        for (byte[] key : keys) {
            w.println("x" + HEX.formatHex(key) + " " + Utils.murmur2(key) + " " + BuiltInPartitioner.partitionForKey(key, 12));
        }
    }

    /** splitmix64 */
    private static long next(long[] state) {
        long z = state[0] += 0x9e3779b97f4a7c15L;
        z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
        z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
        return z ^ (z >>> 31);
    }

    /** For each key its murmur2 (4 bytes) and its partition of 1 + i % 127 (1 byte). The keys come from splitmix64, seed 1: a length below 50, then that many bytes. */
    private static byte[] murmur2Random(int count) {
        ByteBuffer out = ByteBuffer.allocate(count * 5);
        long[] state = {1};
        for (int i = 0; i < count; i++) {
            byte[] key = new byte[(int) Long.remainderUnsigned(next(state), 50)];
            for (int j = 0; j < key.length; j++) {
                key[j] = (byte) next(state);
            }
            out.putInt(Utils.murmur2(key));
            out.put((byte) BuiltInPartitioner.partitionForKey(key, 1 + i % 127));
        }
        return out.array();
    }
}
