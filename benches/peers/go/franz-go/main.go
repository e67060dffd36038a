// franz-go.
package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"peers/peer"
)

type client struct {
	kgo     *kgo.Client
	payload *peer.Payload
	about   string
}

func main() {
	peer.Main(func(w *peer.Work) peer.Client { return connect(w) })
}

func connect(w *peer.Work) *client {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	options := []kgo.Opt{
		kgo.SeedBrokers(strings.Split(w.Bootstrap, ",")...),
		kgo.ProducerBatchCompression(codecs[w.Codec]),
		kgo.ProducerLinger(time.Duration(w.LingerMs) * time.Millisecond),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
	}
	about := fmt.Sprintf("RequiredAcks=all idempotent ProducerLinger=%dms StickyKeyPartitioner %s", w.LingerMs, w.Codec)
	if w.Batch > 0 {
		options = append(options, kgo.ProducerBatchMaxBytes(int32(max(w.Batch, w.Size+512))), kgo.MaxBufferedRecords(w.Window),
			kgo.MaxBufferedBytes(w.Buffer))
		about += fmt.Sprintf(" ProducerBatchMaxBytes=%d MaxBufferedRecords=%d MaxBufferedBytes=%d", max(w.Batch, w.Size+512), w.Window, w.Buffer)
	}
	if config := w.TLS(); config != nil {
		options = append(options, kgo.DialTLSConfig(config))
	}
	c, err := kgo.NewClient(options...)
	if err != nil {
		peer.Fail(err)
	}
	return &client{c, peer.NewPayload(w), about + w.AboutTLS()}
}

func (c *client) Settings() string { return c.about }

func (c *client) record(w *peer.Work, number uint64) *kgo.Record {
	record := &kgo.Record{Topic: w.Topic(number), Value: c.payload.Of(number)}
	if w.Keyed {
		record.Key = peer.Key(number)
	}
	if w.Headers {
		record.Headers = make([]kgo.RecordHeader, len(peer.Headers))
		for i, header := range peer.Headers {
			record.Headers[i] = kgo.RecordHeader{Key: header.Key, Value: header.Value}
		}
	}
	return record
}

func (c *client) OneEach(w *peer.Work) {
	var open sync.WaitGroup
	open.Add(len(w.Topics))
	for number := range uint64(len(w.Topics)) {
		c.Send(w, number, open.Done)
	}
	open.Wait()
}

func (c *client) Stream(w *peer.Work, first uint64, until time.Time) uint64 {
	ctx := context.Background()
	var delivered atomic.Uint64
	promise := func(_ *kgo.Record, err error) {
		if err != nil {
			peer.Fail(err)
		}
		delivered.Add(1)
	}
	records := uint64(0)
	for ; w.More(records, until); records++ {
		c.kgo.Produce(ctx, c.record(w, first+records), promise)
	}
	if err := c.kgo.Flush(ctx); err != nil {
		peer.Fail(err)
	}
	for delivered.Load() < records {
		time.Sleep(100 * time.Microsecond)
	}
	return records
}

func (c *client) Tasks(w *peer.Work, until time.Time) int64 {
	var total atomic.Int64
	var tasks sync.WaitGroup
	for task := range uint64(w.Tasks) {
		tasks.Go(func() {
			records := uint64(0)
			for ; time.Now().Before(until); records++ {
				if err := c.kgo.ProduceSync(context.Background(), c.record(w, task+records*1_000)).FirstErr(); err != nil {
					peer.Fail(err)
				}
			}
			total.Add(int64(records))
		})
	}
	tasks.Wait()
	return total.Load()
}

func (c *client) Send(w *peer.Work, number uint64, acknowledged func()) {
	c.kgo.Produce(context.Background(), c.record(w, number), func(_ *kgo.Record, err error) {
		if err != nil {
			peer.Fail(err)
		}
		acknowledged()
	})
}
