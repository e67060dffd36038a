// sarama.
package main

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"peers/peer"
)

type client struct {
	producer sarama.AsyncProducer
	payload  *peer.Payload
	window   chan struct{}
	about    string
}

func main() {
	peer.Main(func(w *peer.Work) peer.Client { return connect(w) })
}

func connect(w *peer.Work) *client {
	codecs := map[string]sarama.CompressionCodec{
		"none": sarama.CompressionNone, "gzip": sarama.CompressionGZIP, "snappy": sarama.CompressionSnappy,
		"lz4": sarama.CompressionLZ4, "zstd": sarama.CompressionZSTD,
	}
	config := sarama.NewConfig()
	config.Version = sarama.V3_6_0_0
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Idempotent = true
	config.Net.MaxOpenRequests = 1 // idempotence asks for it
	config.Producer.Compression = codecs[w.Codec]
	config.Producer.Return.Successes = true
	config.Producer.Flush.Frequency = time.Duration(w.LingerMs) * time.Millisecond
	if w.Batch > 0 {
		config.Producer.Flush.Bytes = w.Batch
		// Of one request, whose batches are not limited otherwise.
		config.Producer.Flush.MaxMessages = max(1, w.Batch/(w.Size+10)) * w.Partitions * len(w.Topics)
	}
	config.Producer.MaxMessageBytes = max(1_000_000, w.Size+4096)
	if !w.Keyed {
		config.Producer.Partitioner = sarama.NewRoundRobinPartitioner
	}
	config.Net.TLS.Config = w.TLS()
	config.Net.TLS.Enable = config.Net.TLS.Config != nil
	producer, err := sarama.NewAsyncProducer(strings.Split(w.Bootstrap, ","), config)
	if err != nil {
		peer.Fail(err)
	}
	c := &client{producer: producer, payload: peer.NewPayload(w), window: make(chan struct{}, w.Window)}
	c.about = fmt.Sprintf("RequiredAcks=all Idempotent MaxOpenRequests=1 Flush.Frequency=%dms Flush.Bytes=%d Flush.MaxMessages=%d round robin, or FNV-1a by key; %s",
		w.LingerMs, config.Producer.Flush.Bytes, config.Producer.Flush.MaxMessages, w.Codec) + w.AboutTLS()
	go func() {
		for failed := range producer.Errors() {
			peer.Fail(failed)
		}
	}()
	go func() {
		for message := range producer.Successes() {
			<-c.window
			message.Metadata.(func())()
		}
	}()
	return c
}

func (c *client) Settings() string { return c.about }

func (c *client) Send(w *peer.Work, number uint64, acknowledged func()) {
	message := &sarama.ProducerMessage{Topic: w.Topic(number), Value: sarama.ByteEncoder(c.payload.Of(number)), Metadata: acknowledged}
	if w.Keyed {
		message.Key = sarama.ByteEncoder(peer.Key(number))
	}
	if w.Headers {
		message.Headers = make([]sarama.RecordHeader, len(peer.Headers))
		for i, header := range peer.Headers {
			message.Headers[i] = sarama.RecordHeader{Key: []byte(header.Key), Value: header.Value}
		}
	}
	c.window <- struct{}{}
	c.producer.Input() <- message
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
	var delivered atomic.Uint64
	acknowledged := func() { delivered.Add(1) }
	records := uint64(0)
	for ; w.More(records, until); records++ {
		c.Send(w, first+records, acknowledged)
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
			records, heard := uint64(0), make(chan struct{}, 1)
			for ; time.Now().Before(until); records++ {
				c.Send(w, task+records*1_000, func() { heard <- struct{}{} })
				<-heard
			}
			total.Add(int64(records))
		})
	}
	tasks.Wait()
	return total.Load()
}
